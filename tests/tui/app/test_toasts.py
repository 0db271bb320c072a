"""Toasts: what replaces what, and what is not shown twice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tui.app.toasts import TOAST_SECONDS, Toasts


def test_a_warning_is_shown_again_only_after_its_time() -> None:
    now, shown = 0.0, []

    def notify(words: str, **_: Any) -> None:
        shown.append(words)

    app: Any = SimpleNamespace(notify=notify, clear_notifications=shown.clear)
    toasts = Toasts(app, lambda: now)
    for words in ("no text", "no text", "no run", "no run"):
        toasts.say(words, "warning")
    assert shown == ["no text", "no run"]
    toasts.say("min-p off", "information")
    assert shown == ["no text", "no run", "min-p off"]
    now = TOAST_SECONDS
    toasts.say("no run", "warning")
    assert shown == ["no text", "no run", "min-p off", "no run"]
    now = 2 * TOAST_SECONDS
    toasts.say("min-p off", "information")
    assert shown == ["min-p off"]
