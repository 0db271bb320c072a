"""Encodes a figure as SVG without scripts, style sheets or external fonts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from tui.export.figure import Figure, Shape, Sign, Stroke, Words

FONT: Final = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
_FONT_FACE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML forbids."""


def svg_of(figure: Figure) -> str:
    """Returns the figure as an SVG document."""
    size = f'width="{figure.width}" height="{figure.height}"'
    box = f"0 0 {figure.width} {figure.height}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="{box}" role="img">',
        f"<title>{_text(figure.title)}</title>",
        f'<rect {size} fill="{figure.background}"/>',
        f"<g font-family={quoteattr(FONT)}>",
        *(line for shape in figure.shapes for line in _lines(shape)),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def without_foreign_fonts(svg: str) -> str:
    """Returns Textual's SVG of the screen without its references to external fonts.

    Opening a picture must not cause a network request.
    """
    svg = _FONT_FACE.sub("", svg)
    return svg.replace("font-family: Fira Code", "font-family: Fira Code, DejaVu Sans Mono")


def _lines(shape: Shape) -> Iterator[str]:
    match shape:
        case Stroke():
            points = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
            dash = f' stroke-dasharray="{shape.dash:g}"' if shape.dash else ""
            yield (
                f'<polyline points="{points}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{shape.width:g}" stroke-linejoin="round" '
                f'stroke-linecap="{"butt" if shape.dash else "round"}"{dash}/>'
            )
        case Sign(kind="disc"):
            x, y = shape.place
            yield (
                f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{shape.radius:g}" fill="{shape.colour}" '
                f'stroke="{shape.rim}"/>'
            )
        case Sign():
            (x, y), r = shape.place, shape.radius
            corners = ((x, y - r), (x + r, y), (x, y + r), (x - r, y))
            points = " ".join(f"{u:.2f},{v:.2f}" for u, v in corners)
            yield f'<polygon points="{points}" fill="{shape.colour}" stroke="{shape.rim}"/>'
        case Words():
            x, y = shape.place
            rotation = "" if shape.upright else f' transform="rotate(-90 {x:.2f} {y:.2f})"'
            weight = ' font-weight="bold"' if shape.bold else ""
            if shape.halo:
                weight += f' paint-order="stroke" stroke="{shape.halo}" stroke-width="4"'
            yield (
                f'<text x="{x:.2f}" y="{y:.2f}" font-size="{shape.size:g}"{weight} '
                f'text-anchor="{shape.anchor}" fill="{shape.colour}"{rotation}>'
                f"{_text(shape.text)}</text>"
            )


def _text(text: str) -> str:
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))
