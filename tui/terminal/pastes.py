"""Tells pastes from keys in what a terminal sends, wherever its packets are cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

START: Final = "\x1b[200~"
END: Final = "\x1b[201~"
MAX_PASTED_CHARACTERS: Final = 1 << 20
"""What a paste has beyond these is dropped: a terminal may never send the end."""
_UNFINISHED: Final = re.compile(r"\x1b\[[0-?]{1,40}[ -/]{0,4}\Z")
"""A control sequence without its final byte. A lone Escape, or Alt with a bracket, is a key."""


class Part(NamedTuple):
    """A part of what a terminal sent."""

    text: str
    is_pasted: bool


class Pastes:
    """Splits input into keys and pastes.

    Textual 8.2.8 reads a paste with the parser of keys. That parser takes the pieces of an escape
    sequence that arrive more than a tenth of a second apart for separate keys: a cut click types
    digits, and of a cut end marker it waits for the rest for ever and takes all keys for pasted
    text. A slow line cuts sequences, and so does a reader that a busy machine holds up.
    """

    def __init__(self) -> None:
        """Starts outside a paste."""
        self._held = ""
        """The beginning of a sequence whose rest has not arrived."""
        self._pasted: str | None = None
        """What the paste at hand has so far; None outside a paste."""

    def split(self, text: str) -> Iterator[Part]:
        """Yields the parts of a text that can be acted on now, in order."""
        text, self._held = self._held + text, ""
        while text:
            pasted = self._pasted
            marker = START if pasted is None else END
            before, separator, text = text.partition(marker)
            if not separator:
                place = _unfinished(before) if pasted is None else _cut_end(before)
                before, self._held = before[:place], before[place:]
            if pasted is None:
                self._pasted = "" if separator else None
                if before:
                    yield Part(before, is_pasted=False)
            elif separator:
                self._pasted = None
                yield Part((pasted + before)[:MAX_PASTED_CHARACTERS], is_pasted=True)
            else:
                self._pasted = (pasted + before)[:MAX_PASTED_CHARACTERS]


def _unfinished(keys: str) -> int:
    """Returns where the control sequence begins that ends the text without its final byte."""
    match = _UNFINISHED.search(keys)
    return match.start() if match else len(keys)


def _cut_end(pasted: str) -> int:
    """Returns where the first part of an end marker begins at the end of a text."""
    lengths = (length for length in range(len(END) - 1, 0, -1) if pasted.endswith(END[:length]))
    return len(pasted) - next(lengths, 0)
