"""Rasterises a figure and encodes it as PNG. NumPy and zlib.

The coverage of a pixel follows from its distance to the line, so edges are smooth without
oversampling. The encoder is here because one page does not justify an imaging library.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tui.export.figure import Figure, Place, Shape, Sign, Stroke, Words
from tui.export.lettering import CAPITALS, strokes_of

SCALE: Final = 2
"""Picture pixels per figure pixel; 2 is sharp on high-resolution screens."""
_CAPITAL_PART: Final = 0.72
"""Height of a capital as a fraction of the font size, as in the fonts of SVG viewers."""
_LETTER_WIDTH: Final = 0.09
_BOLD_WIDTH: Final = 0.14
Canvas = NDArray[np.float32]


def png_of(figure: Figure, scale: int = SCALE) -> bytes:
    """Returns the figure as a PNG file, 8 bits for each of red, green and blue.

    Args:
        figure: the figure to draw.
        scale: picture pixels per figure pixel.
    """
    canvas: Canvas = np.empty((figure.height * scale, figure.width * scale, 3), np.float32)
    canvas[:] = _rgb(figure.background)
    for shape in figure.shapes:
        _draw(canvas, shape, scale)
    return encoded(np.clip(np.rint(canvas), 0, 255).astype(np.uint8))


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    """Returns pixels as a PNG file (ISO/IEC 15948), each row as its difference from the row above.

    Args:
        pixels: red, green and blue, shape (height, width, 3).
    """
    height, width, _ = pixels.shape
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = 2  # filter "up"
    flat = pixels.reshape(height, -1)
    rows[0, 1:] = flat[0]
    rows[1:, 1:] = flat[1:] - flat[:-1]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), 6)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _draw(canvas: Canvas, shape: Shape, scale: int) -> None:
    match shape:
        case Stroke():
            lines: Iterable[Sequence[Place]] = (shape.points,)
            if shape.dash:
                lines = _dashes(shape.points, shape.dash)
            cover = _Cover(canvas)
            for line in lines:
                cover.line(_scaled(line, scale), shape.width * scale / 2)
            cover.blend(shape.colour)
        case Sign():
            centre = (shape.place[0] * scale, shape.place[1] * scale)
            for radius, colour in ((shape.radius + 1, shape.rim), (shape.radius, shape.colour)):
                cover = _Cover(canvas)
                cover.sign(centre, radius * scale, diamond=shape.kind == "diamond")
                cover.blend(colour)
        case Words():
            width = shape.size * (_BOLD_WIDTH if shape.bold else _LETTER_WIDTH)
            around = [(shape.halo, width + 4.0)] if shape.halo else []
            for colour, letter_width in (*around, (shape.colour, width)):
                cover = _Cover(canvas)
                for stroke in _letters(shape):
                    cover.line(_scaled(stroke, scale), letter_width * scale / 2)
                cover.blend(colour)


def _letters(words: Words) -> list[tuple[Place, ...]]:
    """Returns the strokes of a line of text in page coordinates."""
    strokes, reach = strokes_of(words.text)
    unit = words.size * _CAPITAL_PART / CAPITALS
    shift = {"start": 0.0, "middle": reach / 2, "end": reach}[words.anchor]
    left, base = words.place
    placed = []
    for stroke in strokes:
        points = [((x - shift) * unit, (y - CAPITALS) * unit) for x, y in stroke]
        if not words.upright:
            points = [(y, -x) for x, y in points]
        placed.append(tuple((left + x, base + y) for x, y in points))
    return placed


class _Cover:
    """The coverage of each pixel by one shape, so that overlapping parts are blended only once."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._cover = np.zeros(canvas.shape[:2], np.float32)
        self._box: list[int] | None = None

    def line(self, points: Sequence[Place], half_width: float) -> None:
        """Adds a line through points; one point is a dot."""
        for start, end in zip(points, points[1:] or points, strict=False):
            xs, ys = (start[0], end[0]), (start[1], end[1])
            window = self._window(xs, ys, half_width + 1)
            if window is None:
                continue
            x, y, view = window
            (ax, ay), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
            length = dx * dx + dy * dy
            along = ((x - ax) * dx + (y - ay) * dy) / length if length else np.zeros_like(x + y)
            along = np.clip(along, 0, 1)
            far = np.hypot(x - ax - along * dx, y - ay - along * dy)
            np.maximum(view, np.clip(half_width + 0.5 - far, 0, 1), out=view)

    def sign(self, centre: Place, radius: float, *, diamond: bool) -> None:
        """Adds a disc or a diamond."""
        window = self._window((centre[0],), (centre[1],), radius + 1)
        if window is not None:
            x, y, view = window
            across, down = np.abs(x - centre[0]), np.abs(y - centre[1])
            far = (across + down) / np.sqrt(2) + radius * (1 - 1 / np.sqrt(2))
            far = far if diamond else np.hypot(across, down)
            np.maximum(view, np.clip(radius + 0.5 - far, 0, 1), out=view)

    def blend(self, colour: str) -> None:
        """Blends the colour into the canvas by the shape's coverage."""
        if self._box is not None:
            left, right, top, bottom = self._box
            part = self._cover[top:bottom, left:right, None]
            under = self._canvas[top:bottom, left:right]
            under += part * (_rgb(colour) - under)

    def _window(self, xs: Sequence[float], ys: Sequence[float], margin: float) -> Any:
        """Returns the pixel centres around some places, and a view of their coverage."""
        height, width = self._canvas.shape[0], self._canvas.shape[1]
        left, right = max(0, int(min(xs) - margin)), min(width, int(max(xs) + margin) + 1)
        top, bottom = max(0, int(min(ys) - margin)), min(height, int(max(ys) + margin) + 1)
        if left >= right or top >= bottom:
            return None
        box = self._box or [left, right, top, bottom]
        self._box = [
            min(box[0], left), max(box[1], right), min(box[2], top), max(box[3], bottom)
        ]  # fmt: skip
        x = np.arange(left, right, dtype=np.float32)[None, :] + 0.5
        y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
        return x, y, self._cover[top:bottom, left:right]


def _dashes(points: Sequence[Place], dash: float) -> list[list[Place]]:
    """Returns the dashes of a line; gaps have the length of a dash."""
    dashes: list[list[Place]] = []
    walked = 0.0
    for (x, y), (u, v) in pairwise(points):
        length = float(np.hypot(u - x, v - y))
        place = 0.0
        while place < length:
            number, rest = divmod(walked + place, dash)
            step = min(dash - rest, length - place) or dash
            if int(number) % 2 == 0:
                ends = [(place + d) / length for d in (0.0, step)]
                dashes.append([(x + part * (u - x), y + part * (v - y)) for part in ends])
            place += step
        walked += length
    return dashes


def _scaled(points: Sequence[Place], scale: int) -> list[Place]:
    return [(x * scale, y * scale) for x, y in points]


def _rgb(colour: str) -> NDArray[np.float32]:
    """Returns the red, green and blue values of ``#rrggbb``."""
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], np.float32)
