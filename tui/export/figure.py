"""A drawing as a list of shapes, which `svg` and `png` encode. Pure.

Places are pixels from the upper left corner. Colours are ``#rrggbb``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = tuple[float, float]
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A line through points, with round ends."""

    points: tuple[Place, ...]
    colour: str
    width: float = 1.0
    dash: float = 0.0
    """Length of a dash and of the gap after it; 0 draws without gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A filled sign with a rim that separates it from the lines below it."""

    kind: Literal["disc", "diamond"]
    place: Place
    radius: float
    colour: str
    rim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A line of text; the caller makes foreign text printable first."""

    text: str
    place: Place
    """Left end, middle or right end of the base line."""
    size: float
    """Font size, pixels."""
    colour: str
    anchor: Anchor = "start"
    bold: bool = False
    upright: bool = True
    """Whether the text is horizontal; otherwise it is rotated by 90 degrees and reads upwards."""
    halo: str | None = None
    """Colour around the letters that separates them from lines below."""


Shape = Stroke | Sign | Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Shapes on a page; later ones lie over earlier ones."""

    width: int
    height: int
    title: str
    """Description for readers who cannot see the picture."""
    background: str
    shapes: tuple[Shape, ...]
