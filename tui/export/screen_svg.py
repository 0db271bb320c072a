"""Textual's picture of the screen as an SVG file that refers to nothing outside it. Pure."""

from __future__ import annotations

import re
from typing import Final

_FONT_FACE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def without_foreign_fonts(svg: str) -> str:
    """Returns Textual's SVG of the screen without its references to external fonts.

    Opening a picture must not cause a network request.
    """
    svg = _FONT_FACE.sub("", svg)
    return svg.replace("font-family: Fira Code", "font-family: Fira Code, DejaVu Sans Mono")
