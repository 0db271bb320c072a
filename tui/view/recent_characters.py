"""The last written characters, each with the other candidates of the model. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from model.events import CharacterWritten, WritingRewound
from model.sampling.fork_history import HISTORY


class Past:
    """The end of the text: the characters that can be forked from."""

    def __init__(self) -> None:
        self.characters: deque[CharacterWritten] = deque(maxlen=HISTORY)
        """Since the last restart, the oldest first."""
        self._trunk: tuple[CharacterWritten, ...] | None = None

    @property
    def forked(self) -> bool:
        """Whether the text has left its trunk."""
        return self._trunk is not None

    def restart(self) -> None:
        """Forgets everything."""
        self.characters.clear()
        self._trunk = None

    def add(self, written: Sequence[CharacterWritten]) -> None:
        """Appends written characters."""
        self.characters.extend(written)

    def rewind(self, event: WritingRewound) -> None:
        """Applies a fork, or the return to the trunk."""
        if not event.forked:
            trunk, self._trunk = self._trunk or (), None
            self.characters = deque(trunk, maxlen=HISTORY)
            return
        if self._trunk is None:
            self._trunk = tuple(self.characters)
        replaced: CharacterWritten | None = None
        for _ in range(min(event.back, len(self.characters))):
            replaced = self.characters.pop()
        if replaced is not None:
            chances = {item.character: item.probability for item in replaced.candidates}
            probability = chances.get(event.text, 0.0)
            self.characters.append(replace(replaced, character=event.text, probability=probability))
