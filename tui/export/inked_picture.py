"""Encodes a coloured text as SVG: lines of cells, as on the screen; it loads nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final, Literal
from xml.sax.saxutils import escape

from tui.clusters import clusters_of
from tui.export.inked_text import LOOKS, PALETTES, InkedRun, InkedText
from tui.sanitise import one_line, replace_unprintable
from tui.view.line_wrapper import Line, LineWrapper
from tui.widths import width_of

COLUMNS: Final = 80
"""Cells of a line."""
_CELL: Final = 8.4
"""Width of a cell, which is that of a letter of the usual monospaced fonts, in pixels."""
_SIZE: Final = 14
_LINE: Final = 20
_MARGIN: Final = 16
_FONT: Final = "'DejaVu Sans Mono', Menlo, Consolas, monospace"


def picture_of(inked: InkedText) -> str:
    """Returns the text as an SVG document, for light and for dark screens."""
    title = one_line(inked.title)
    head = [InkedRun(f"{title}\n", "")]
    for run in inked.legend:
        head += [InkedRun(run.text, run.style), InkedRun("  ", "")]
    runs = (*head, InkedRun("\n\n", ""), *inked.runs)
    styles = [run.style for run in runs for _ in run.text]
    lines = _lines(runs)
    width = round(2 * _MARGIN + COLUMNS * _CELL)
    height = 2 * _MARGIN + _LINE * len(lines)
    drawn = [part for y, line in enumerate(lines) for part in _line(line, y, styles)]
    size = f'width="{width}" height="{height}"'
    box = f'viewBox="0 0 {width} {height}"'
    style = f"{_rules('light')}@media (prefers-color-scheme: dark) {{\n{_rules('dark')}}}\n"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\ntext {{ font: {_SIZE}px {_FONT}; white-space: pre; }}\n{style}</style>",
            f'<rect class="page" {size}/>',
            *drawn,
            "</svg>\n",
        ]
    )


def _lines(runs: tuple[InkedRun, ...]) -> list[Line]:
    """Returns the lines, whose pieces count the characters of all runs."""
    wrapper = LineWrapper(COLUMNS)
    for run in runs:
        wrapper.add(replace_unprintable(run.text, keep_newlines=True), "text")
    return [*(line for _, line in wrapper.finished), wrapper.open_line]


def _line(line: Line, y: int, styles: list[str]) -> Iterator[str]:
    """Yields a line's parts, each placed and as wide as its cells."""
    column = 0
    bottom = _MARGIN + _LINE * (y + 1) - 5
    for piece in line:
        places = enumerate(clusters_of(piece.text), piece.start)
        for style, group in groupby(places, lambda place: styles[place[0]]):
            text = "".join(cluster for _, cluster in group)
            cells = width_of(text)
            x, width = _MARGIN + _CELL * column, _CELL * cells
            column += cells
            if style and LOOKS[style].reversed:
                top = bottom - _LINE + 5
                yield (
                    f'<rect class="{style}-ground" x="{x:.1f}" y="{top}" width="{width:.1f}" '
                    f'height="{_LINE}"/>'
                )
            if not text.isspace():
                extent = f'textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"'
                place = f'x="{x:.1f}" y="{bottom}" {extent}'
                yield f'<text class="{style or "plain"}" {place}>{escape(text)}</text>'


def _rules(scheme: Literal["light", "dark"]) -> str:
    """Returns the colours of all styles."""
    palette = PALETTES[scheme]
    rules = [f".page {{ fill: {palette['page']}; }}", f".plain {{ fill: {palette['text']}; }}"]
    for name, look in LOOKS.items():
        colour = palette[look.colour]
        weight = " font-weight: bold;" if look.bold else ""
        line = " text-decoration: underline;" if look.underlined else ""
        fill = palette["page"] if look.reversed else colour
        rules.append(f".{name} {{ fill: {fill};{weight}{line} }}")
        if look.reversed:
            rules.append(f".{name}-ground {{ fill: {colour}; }}")
    return "".join(f"{rule}\n" for rule in rules)
