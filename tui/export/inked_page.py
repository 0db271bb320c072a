"""Encodes a coloured text as a page of HTML that loads nothing and runs nothing. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Final, Literal

from tui.export.inked_text import LOOKS, PALETTES, Colour, InkedRun, InkedText, Look
from tui.sanitise import one_line, replace_unprintable

_LAYOUT: Final = """\
body { max-width: 88ch; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 monospace; }
h1 { font-size: 1.1rem; }
ul { padding: 0; list-style: none; }
li { display: inline-block; margin: 0 1.5em 0 0; }
pre { font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def page_of(inked: InkedText) -> str:
    """Returns the text as an HTML document, for light and for dark screens."""
    style = (
        f"\n{_LAYOUT}{_rules('light')}@media (prefers-color-scheme: dark) {{\n{_rules('dark')}}}\n"
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = escape(one_line(inked.title))
    legend = "\n".join(f"<li>{_span(run)}</li>" for run in inked.legend)
    text = "".join(map(_span, inked.runs))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        # A parser drops the first line feed of `pre`.
        f'<ul>\n{legend}\n</ul>\n<pre lang="" dir="auto">\n{text}</pre>\n</body>\n</html>\n'
    )


def _span(run: InkedRun) -> str:
    """Returns a run with nothing in it that a browser would obey."""
    text = escape(replace_unprintable(run.text, keep_newlines=True))
    return f'<span class="{run.style}">{text}</span>' if run.style else text


def _rules(scheme: Literal["light", "dark"]) -> str:
    """Returns the colours of all styles."""
    palette = PALETTES[scheme]
    rules = [f"body {{ color: {palette['text']}; background: {palette['page']}; }}"]
    rules += [f".{name} {{ {declarations(look, palette)} }}" for name, look in LOOKS.items()]
    return "".join(f"{rule}\n" for rule in rules)


def declarations(look: Look, palette: Mapping[Colour, str]) -> str:
    """Returns the CSS of a look, in the colours of a palette."""
    colour = palette[look.colour]
    parts = [f"color: {palette['page'] if look.reversed else colour}"]
    if look.reversed:
        parts.append(f"background: {colour}")
    if look.bold:
        parts.append("font-weight: bold")
    if look.underlined:
        parts.append("text-decoration: underline")
    return "; ".join(parts)
