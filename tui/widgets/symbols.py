"""One foreign character as a label of a few cells."""

from __future__ import annotations

from rich.cells import cell_len

from tui.sanitise import printable

_NAMES = {" ": "␣", "\n": "⏎", "\t": "⇥"}
_ASCII_NAMES = {" ": "sp", "\n": "\\n", "\t": "\\t"}


def symbol_label(character: str, *, ascii_only: bool = False) -> str:
    """Returns a visible label for any character."""
    names = _ASCII_NAMES if ascii_only else _NAMES
    if character in names:
        return names[character]
    return printable(character) or "?"


def padded_label(character: str, cells: int, *, ascii_only: bool = False) -> str:
    """Returns the label, padded to ``cells``."""
    label = symbol_label(character, ascii_only=ascii_only)
    return label + " " * max(0, cells - cell_len(label))
