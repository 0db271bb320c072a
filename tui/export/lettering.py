"""Letters as strokes, so that pictures made of pixels need no font file. Pure.

A glyph is drawn on a grid: capitals stand on line 6 and reach to line 0, small letters to line 2,
tails to line 8. A stroke is written as its points, two digits (across, down) each; one that begins
with ``~`` is rounded.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Final

from tui.export.figure import Place

CAPITALS: Final = 6.0
"""Grid lines from the base line to the top of a capital."""
_GAP: Final = 1.7
_SPACE: Final = 2.6

_BOWL_LEFT: Final = "~4332120305163645"
_BOWL_RIGHT: Final = "~0312324345361605"
_SHOULDER: Final = "~03123243"
_STROKES: Final = {
    "0": "~103041453616050110", "1": "112026", "2": "~011030414206 0646",
    "3": "~01103041423323 ~23334445361605", "4": "36300444", "5": "400003 ~0312324345361605",
    "6": "~413010010516364544331304", "7": "004016",
    "8": "~133342413010010213 ~133344453616050413", "9": "~051636454130100102133342",
    "a": f"4246 {_BOWL_LEFT}", "b": f"0006 {_BOWL_RIGHT}", "c": _BOWL_LEFT,
    "d": f"4046 {_BOWL_LEFT}", "e": "0444 ~444332120305163645", "f": "~30201112 1216 0232",
    "g": f"4247 ~47381807 {_BOWL_LEFT}", "h": f"0006 {_SHOULDER} 4346", "i": "0206 0000",
    "j": "2227 ~271808 2020", "k": "0006 4204 2346", "l": "0006",
    "m": "0206 ~03122233 3336 ~33425263 6366", "n": f"0206 {_SHOULDER} 4346",
    "o": "~123243453616050312", "p": f"0208 {_BOWL_RIGHT}", "q": f"4248 {_BOWL_LEFT}",
    "r": "0206 ~03122232", "s": "~43321203143445361605", "t": "1015 ~152636 0232",
    "u": "0205 ~05163645 4246", "v": "022642", "w": "0216325662", "x": "0246 4206",
    "y": "0226 4218", "z": "02420646",
    "A": "062046 1434", "B": "0006 ~003041423303 ~033344453606", "C": "~4130100105163645",
    "D": "0006 ~002042442606", "E": "40000646 0333", "F": "400006 0333",
    "G": "~4130100105163645 454323", "H": "0006 4046 0343", "I": "0006", "J": "4045 ~45361605",
    "K": "0006 4004 1346", "L": "000646", "M": "0600336066", "N": "06004640",
    "O": "~103041453616050110", "P": "0006 ~003041423303", "Q": "~103041453616050110 2446",
    "R": "0006 ~003041423303 2346", "S": "~413010010213334445361605", "T": "0040 2026",
    "U": "0005 ~05163645 4540", "V": "002640", "W": "0016315660", "X": "0046 4006",
    "Y": "002340 2326", "Z": "00400646",
    ".": "0606", ",": "1607", ":": "0303 0606", ";": "1313 1607", "!": "0004 0606",
    "?": "~011030414223 2324 2626", "-": "0333", "_": "0747", "+": "0343 2125", "=": "0242 0444",
    "/": "0640", "\\": "0046", "|": "0008", "(": "~2011031526", ")": "~0011231506",
    "[": "20000626", "]": "00202606", "{": "~2010120313151626", "}": "~0010121323131516 1606",
    "<": "410345", ">": "014305", "*": "2024 0133 0331", "#": "1006 3026 0242 0444",
    "%": "0640 ~001011010000 ~354445364635", "&": "~46120110213205163643", "'": "0002",
    '"': "0002 2022", "`": "0011", "@": "~33232435 ~35444341301001051646", "^": "022042",
    "$": "~413010010213334445361605 2027", "~": "~04133443", "\N{MIDDLE DOT}": "0303",
}  # fmt: skip
_UNKNOWN: Final = "0040460600 0046 4006"
_ROUNDING: Final = 3


def strokes_of(text: str) -> tuple[list[tuple[Place, ...]], float]:
    """Returns the strokes of a line of text on the grid, and its width in grid units.

    Accents are omitted. A character without a glyph is drawn as a crossed box.
    """
    strokes: list[tuple[Place, ...]] = []
    pen = 0.0
    for character in text:
        if character == " ":
            pen += _SPACE
            continue
        glyph = _glyph(character)
        strokes += [tuple((pen + x, y) for x, y in stroke) for stroke in glyph]
        pen += max(x for stroke in glyph for x, _ in stroke) + _GAP
    return strokes, max(0.0, pen - _GAP)


def _glyph(character: str) -> list[tuple[Place, ...]]:
    base = unicodedata.normalize("NFKD", character)[0]
    written = _STROKES.get(character) or _STROKES.get(base, _UNKNOWN)
    return [_stroke(stroke) for stroke in written.split(" ")]


def _stroke(written: str) -> tuple[Place, ...]:
    digits = written.removeprefix("~")
    points = tuple(
        (float(digits[place]), float(digits[place + 1])) for place in range(0, len(digits), 2)
    )
    return _rounded(points) if written.startswith("~") else points


def _rounded(points: tuple[Place, ...]) -> tuple[Place, ...]:
    """Rounds a stroke by repeated corner cutting (Chaikin 1974); keeps the ends of an open one."""
    ring = points[0] == points[-1]
    for _ in range(_ROUNDING):
        cut: list[Place] = [] if ring else [points[0]]
        for (x, y), (u, v) in pairwise(points):
            cut.append((0.75 * x + 0.25 * u, 0.75 * y + 0.25 * v))
            cut.append((0.25 * x + 0.75 * u, 0.25 * y + 0.75 * v))
        cut.append(cut[0] if ring else points[-1])
        points = tuple(cut)
    return points
