"""Numbers as people read them, and small pictures of numbers, in few characters.

Pure functions; every one of them takes None for a figure that is not known, and none of them can
be made to fail by a number that is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

UNKNOWN: Final = "-"

_SPARKS: Final = "▁▂▃▄▅▆▇█"
_ASCII_SPARKS: Final = "_.-=+*%#"


def is_known(value: float | None) -> bool:
    """Returns whether a value is a finite number."""
    return value is not None and math.isfinite(value)


def fixed(value: float | None, digits: int = 3) -> str:
    """Returns a number with a fixed count of decimals."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{digits}f}" if abs(value) < 1e6 else f"{value:.1e}"


def grouped(value: int) -> str:
    """Returns an integer with grouped thousands, as the command line prints it: ``12,481``."""
    return f"{value:,}"


def short(value: float | None) -> str:
    """Returns a number in at most five characters: ``183k``, ``1.2M``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    for size, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.0f}{sign}" if abs(scaled) >= 9.95 else f"{scaled:.1f}{sign}"
    return f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}"


def small(value: float | None) -> str:
    """Returns a small number such as a learning rate: ``1.8e-3``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def clock(seconds: float | None) -> str:
    """Returns a time span as ``h:mm:ss``."""
    if seconds is None or not math.isfinite(seconds):
        return "-:--:--"
    minutes, whole = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}"


def span(seconds: float | None) -> str:
    """Returns a time span in few characters: ``0:07``, ``5:12``, ``1:02:03``, ``2d 3h``."""
    if seconds is None or not math.isfinite(seconds):
        return "-:--"
    whole = int(max(0.0, seconds))
    if whole >= 86_400:
        return f"{whole // 86_400}d {whole % 86_400 // 3600}h"
    return clock(whole) if whole >= 3600 else f"{whole // 60}:{whole % 60:02d}"


def ago(seconds: float) -> str:
    """Returns how long ago something was, in words."""
    whole = int(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s ago"
    return f"{whole // 60} min ago" if whole < 3600 else f"{whole // 3600} h ago"


def percent(fraction: float | None) -> str:
    """Returns a fraction as an integer percentage; 100 only if it is complete."""
    if fraction is None or not math.isfinite(fraction):
        return UNKNOWN
    return f"{math.floor(100 * min(1.0, max(0.0, fraction)) + 1e-9)}%"


def bar(fraction: float | None, width: int, *, ascii_only: bool = False) -> tuple[str, str]:
    """Returns the done and the open part of a progress bar, together ``width`` characters."""
    full, half, empty = ("#", "", "-") if ascii_only else ("━", "╸", "─")
    if fraction is None or not math.isfinite(fraction):
        fraction = 0.0
    halves = int(min(1.0, max(0.0, fraction)) * max(0, width) * 2)
    done = full * (halves // 2) + (half if halves % 2 else "")
    return done, empty * (max(0, width) - len(done))


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """Returns the newest values as a row of bars, from half of the largest up to the largest.

    A pace that does not change is a row of high bars; a bar at the bottom is half as fast, or less.
    """
    finite = [value for value in values[-max(0, width) :] if math.isfinite(value)]
    top = max(finite, default=0.0)
    if width <= 0 or top <= 0:
        return ""
    signs = _ASCII_SPARKS if ascii_only else _SPARKS
    steps = len(signs) - 1
    return "".join(
        signs[round(steps * min(1.0, max(0.0, 2 * value / top - 1)))] for value in finite
    )


def slider(value: float, largest: float, width: int, *, ascii_only: bool = False) -> str:
    """Returns a slider: a track with a knob at the value."""
    knob, track = ("o", "-") if ascii_only else ("●", "─")
    part = min(1.0, max(0.0, value / largest)) if math.isfinite(value) else 0.0
    place = round(part * (width - 1))
    return track * place + knob + track * (width - 1 - place)
