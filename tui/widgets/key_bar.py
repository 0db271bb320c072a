"""The last row: the most important keys, as many as fit; each can be clicked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tui.config.keys import KEYS, KeyAction
from tui.widgets.painted import Painted, Part, Row, row_width

_GAP = ("  ", "label")


class KeyBar(Painted):
    """Hints from the table of keys."""

    def __init__(self, keys: Sequence[KeyAction] = KEYS, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._keys = tuple(keys)
        self._actions: dict[Part, str] = {}

    def show(self, words: Mapping[str, str], keys: Sequence[KeyAction] | None = None) -> None:
        """Shows the hints.

        Args:
            words: the word of some ids, instead of the one in the table (Pause, Go on).
            keys: the keys that do something from now on; None leaves them as they are.
        """
        self._keys = self._keys if keys is None else tuple(keys)
        hints = _hints(self._keys, words)
        width = self.size.width - 1
        while hints and _width(hints) > width:
            hints.remove(max(hints, key=lambda hint: hint[0]))
        row: list[Part] = [(" ", "label")]
        self._actions = {}
        for index, (_, parts, actions) in enumerate(hints):
            if index:
                row.append(_GAP)
            row.extend(parts)
            self._actions.update(zip(parts, actions, strict=True))
        self.present([tuple(row)])

    def click_action(self, part: Part) -> str | None:
        """Returns the action of a key or its word."""
        return self._actions.get(part)


def _hints(
    keys: Sequence[KeyAction], words: Mapping[str, str]
) -> list[tuple[int, Row, tuple[str, ...]]]:
    """Returns rank, parts and the action of each part, in the order of the table."""
    hints: list[tuple[int, Row, tuple[str, ...]]] = []
    joined: Row = ()
    joined_actions: tuple[str, ...] = ()
    for key in keys:
        if key.hint is None:
            continue
        word = words.get(key.id, key.hint)
        if not key.hint:
            joined, joined_actions = ((key.shown, "key"), ("/", "faint")), (key.action,) * 2
            continue
        parts: Row = (*joined, (key.shown, "key"), (f" {word}", "label"))
        hints.append((key.rank, parts, (*joined_actions, key.action, key.action)))
        joined, joined_actions = (), ()
    return hints


def _width(hints: list[tuple[int, Row, tuple[str, ...]]]) -> int:
    """Returns the cells that the hints take with gaps between them."""
    return sum(row_width(parts) + len(_GAP[0]) for _, parts, _ in hints) - len(_GAP[0])
