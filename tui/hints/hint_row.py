"""The row below the header that shows one hint."""

from __future__ import annotations

from typing import Final

from tui.hints.hints import Words
from tui.widgets.painted import Painted, row_width

_IN_ASCII: Final = str.maketrans("“”·", '""|')


class HintRow(Painted):
    """Shows the longest form of a hint that fits; a hint is never cut."""

    def show(self, words: Words | None, *, ascii_only: bool) -> None:
        """Shows a hint; None shows an empty row."""
        sign = ">" if ascii_only else "›"  # noqa: RUF001 - a sign of ours
        forms = () if words is None else (words.long, words.short)
        for form in forms:
            row = ((f" {sign} ", "key"), (_plain(form) if ascii_only else form, "accent"))
            if row_width(row) <= self.size.width:
                self.present([row])
                return
        self.present([])


def _plain(words: str) -> str:
    """Returns our own signs in ASCII; a made-up word keeps its letters."""
    return words.translate(_IN_ASCII)
