"""The messages of a page to its process: keys, a size, and whether it has the focus.

Any other message is ignored. A size is bounded before memory is allocated for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from tui.terminal.sizes import within_reason

MAX_PING_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Keys, a paste or the mouse, as a terminal would send them."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """The size of the terminal in the page, within reason."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusChanged:
    """The page gained or lost the focus."""

    now: Literal["focus", "blur"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """A question that is answered by repeating its word."""

    word: str


PageMessage = Typed | Resized | FocusChanged | Ping


def page_message(text: str) -> PageMessage | None:
    """Returns a parsed message; None if it is not understood."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match message:
        case ["stdin", str() as typed]:
            return Typed(text=typed)
        case ["resize", {"width": width, "height": height}]:
            return resized(width, height)
        case ["ping", str() as word] if len(word) <= MAX_PING_CHARACTERS:
            return Ping(word=word)
        case ["focus" | "blur" as now]:
            return FocusChanged(now=now)
        case _:
            return None


def resized(columns: Any, rows: Any) -> Resized | None:
    """Returns a bounded size; None if the values are not integers."""
    if type(columns) is not int or type(rows) is not int:
        return None
    columns, rows = within_reason(columns, rows)
    return Resized(columns=columns, rows=rows)


def size_asked_for(width: str, height: str) -> Resized:
    """Returns the size in the address of a WebSocket; 80 x 24 if it is not valid."""
    try:
        size = resized(int(width), int(height))
    except ValueError:
        size = None
    return size or Resized(columns=80, rows=24)
