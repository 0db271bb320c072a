"""Chooses the hint that is shown: the most important one that is true now and was not shown. Pure.

It knows no screen and no clock: the caller says what happens, and when.
"""

from __future__ import annotations

from typing import Final

from tui.hints.hints import HINTS, Hint, Moment, Words, end

SECONDS_OF_EACH: Final = 12.0
"""How long a hint stays at least, while the training lasts and the hint is true."""


_THE_LAST: Final = (end.__name__, "")


class Teacher:
    """The hints of one session."""

    def __init__(self) -> None:
        self.shown: Words | None = None
        """The hint that is shown now; it stays until another one is due."""
        self._hint: Hint | None = None
        """The one that is shown."""
        self._said: set[tuple[str, str]] = set()
        self._until = 0.0

    def listen(self, moment: Moment, now: float) -> Words | None:
        """Returns the hint to show.

        Args:
            moment: what happens.
            now: seconds of a steady clock.
        """
        if _THE_LAST in self._said and moment.state.finished is None:
            self._said.remove(_THE_LAST)  # a watched run goes on
            self.shown = None
        is_true = self._hint is not None and self._hint(moment) is not None
        is_early = now < self._until and moment.state.finished is None
        if (is_early and is_true) or _THE_LAST in self._said:
            return self.shown
        for hint in HINTS:
            words = hint(moment)
            if words is not None and (hint.__name__, words.about) not in self._said:
                self._said.add((hint.__name__, words.about))
                self.shown, self._until, self._hint = words, now + SECONDS_OF_EACH, hint
                break
        return self.shown
