"""Takes bracketed pastes out of what a terminal sends, wherever its packets are cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

START: Final = "\x1b[200~"
END: Final = "\x1b[201~"
MAX_PASTED_CHARACTERS: Final = 1 << 20
"""What a paste has beyond these is dropped: a terminal may never send the end."""
_MIN_HELD: Final = 3
"""Characters of `START` that no key sends: a lone Escape, or Alt with a bracket, must not wait."""


class Part(NamedTuple):
    """A part of what a terminal sent."""

    text: str
    is_pasted: bool


class Pastes:
    """Splits input into keys and pastes.

    Textual 8.2.8 reads a paste with the parser of keys. That parser takes the pieces of an escape
    sequence that arrive more than a tenth of a second apart for separate keys: of an end marker
    that a slow line cuts it waits for the rest for ever, and takes all keys for pasted text.
    """

    def __init__(self) -> None:
        """Starts outside a paste."""
        self._held = ""
        """The beginning of a marker whose rest has not arrived."""
        self._pasted: str | None = None
        """What the paste at hand has so far; None outside a paste."""

    def split(self, text: str) -> Iterator[Part]:
        """Yields the parts of a text that can be acted on now, in order."""
        text, self._held = self._held + text, ""
        while text:
            pasted = self._pasted
            marker = START if pasted is None else END
            before, found, text = text.partition(marker)
            if not found:
                before, self._held = _without_beginning(before, marker)
            if pasted is None:
                self._pasted = "" if found else None
                if before:
                    yield Part(before, is_pasted=False)
            elif found:
                self._pasted = None
                yield Part((pasted + before)[:MAX_PASTED_CHARACTERS], is_pasted=True)
            else:
                self._pasted = (pasted + before)[:MAX_PASTED_CHARACTERS]


def _without_beginning(text: str, marker: str) -> tuple[str, str]:
    """Returns a text without the beginning of a marker at its end, and that beginning."""
    least = 1 if marker == END else _MIN_HELD
    for length in range(len(marker) - 1, least - 1, -1):
        if text.endswith(marker[:length]):
            return text[:-length], text[-length:]
    return text, ""
