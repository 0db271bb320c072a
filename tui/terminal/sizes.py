"""Bounds for the size of a terminal or a page, whose reports are not always true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from textual.message import Message

MAX_COLUMNS: Final = 1000
MAX_ROWS: Final = 500
"""No real window is larger, and a screen of 100,000 x 30,000 would take gigabytes."""


def within_reason(columns: int, rows: int) -> tuple[int, int]:
    """Returns a size that can be drawn: at least 1 x 1, at most 1000 x 500."""
    return min(MAX_COLUMNS, max(1, columns)), min(MAX_ROWS, max(1, rows))


def bounded(message: Message) -> Message:
    """Returns a message of a driver; a size that a terminal reports is kept within reason."""
    from textual.events import Resize  # noqa: PLC0415 - the server of a page has no Textual
    from textual.geometry import Size  # noqa: PLC0415

    if not isinstance(message, Resize):
        return message
    size = Size(*within_reason(*message.size))
    return message if size == message.size else Resize(size, size, size, message.pixel_size)
