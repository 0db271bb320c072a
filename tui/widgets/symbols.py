"""One foreign character as a label of a few cells."""

from __future__ import annotations

from rich.cells import cell_len

from tui.clusters import JOINING, LONE_SIGN, is_mark
from tui.sanitise import drawn

_UNSEEN = {
    "\N{ZERO WIDTH JOINER}": "ZWJ",
    "\N{ZERO WIDTH NON-JOINER}": "ZWNJ",
    "\N{VARIATION SELECTOR-15}": "VS15",
    "\N{VARIATION SELECTOR-16}": "VS16",
}
_NAMES = {" ": "␣", "\n": "⏎", "\t": "⇥", **_UNSEEN}
_ASCII_NAMES = {" ": "sp", "\n": "\\n", "\t": "\\t", **_UNSEEN}


def symbol_label(character: str, *, ascii_only: bool = False) -> str:
    """Returns a visible label for any character."""
    names = _ASCII_NAMES if ascii_only else _NAMES
    if character in names:
        return names[character]
    needs_base = is_mark(character[:1]) or character[:1] in JOINING
    return drawn(LONE_SIGN + character if needs_base else character) or "?"


def padded_label(character: str, cells: int, *, ascii_only: bool = False) -> str:
    """Returns the label, padded to ``cells``."""
    label = symbol_label(character, ascii_only=ascii_only)
    return label + " " * max(0, cells - cell_len(label))
