"""Toasts: an answer replaces the one before, a warning stays, and is not shown twice at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from textual.app import App

from tui.app.toasts import TOAST_SECONDS, Toasts


@dataclass
class Screen:
    """What an app shows, of the calls that toasts need."""

    shown: list[str] = field(default_factory=list)

    def notify(self, words: str, **_: Any) -> None:
        self.shown.append(words)

    def clear_notifications(self) -> None:
        self.shown.clear()


def toasts() -> tuple[Toasts, Screen, list[float]]:
    """Returns toasts, the screen that they are shown on, and the time."""
    screen, now = Screen(), [0.0]
    return Toasts(cast("App[None]", screen), lambda: now[0]), screen, now


def test_an_answer_replaces_the_one_before() -> None:
    made, screen, _ = toasts()
    for words in ("one", "two", "two"):
        made.say(words, "information")
    assert screen.shown == ["two"]


def test_a_warning_stays_and_is_not_shown_twice_at_once() -> None:
    made, screen, now = toasts()
    for words in ("one model writes", "one model writes", "no room"):
        made.say(words, "warning")
        made.say("saved", "information")
    assert screen.shown == ["one model writes", "saved", "saved", "no room", "saved"]
    now[0] = TOAST_SECONDS
    made.say("one model writes", "warning")
    assert screen.shown[-1] == "one model writes"
