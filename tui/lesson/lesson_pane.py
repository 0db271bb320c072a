"""The pane of the lesson. It lies over the app's screen, which leaves room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.config.keys import KEYS
from tui.lesson.place import place_in, room_left
from tui.lesson.step_rows import Shown, lesson_rows
from tui.widgets.painted import Painted, Part

if TYPE_CHECKING:
    from textual.screen import Screen

_ACTIONS: Final = {key.id: key.action for key in KEYS}


class LessonPane(Painted):
    """Shows a step; a click on a key in it presses the key."""

    def __init__(self, *, ascii_only: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._ascii_only = ascii_only
        self._clicks: dict[str, str] = {}
        self.is_open = False
        self.is_cut = False
        """Whether sentences were left out for lack of room."""

    def take_place(self, screen: Screen[None], room: tuple[int, int]) -> tuple[int, int]:
        """Takes its place on a screen of this size; returns what columns and rows are left."""
        place = place_in(room)
        for name in ("beside", "above", "line"):
            screen.set_class(self.is_open and name == place, f"-lesson-{name}")
        screen.set_class(self.is_open, "-lesson")
        return room_left(room) if self.is_open else room

    def show(self, shown: Shown) -> None:
        """Shows a step as it is now."""
        width, height = self.content_size
        self._clicks = {words: _ACTIONS[name] for name, words in shown.keys.items()}
        rows, self.is_cut = lesson_rows(
            shown, width, height, place=place_in(self.app.size), ascii_only=self._ascii_only
        )
        self.present(rows)

    def click_action(self, part: Part) -> str | None:
        """Returns the action of a key."""
        text, paint = part
        return self._clicks.get(text) if paint == "key" else None
