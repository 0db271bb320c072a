"""The answers to keys, and warnings: toasts over the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from textual.app import App

    from tui.screens.session_host import Severity

TOAST_SECONDS: Final = 6.0


class Toasts:
    """Keeps a small screen from a pile of them."""

    def __init__(self, app: App[None], clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock
        self._warned_until = 0.0

    def say(self, words: str, severity: Severity) -> None:
        """Shows a toast; the caller has made foreign text printable.

        An answer to a key replaces the answer before it, because a pile would hide a small screen.
        Warnings stay for their whole time; later toasts appear beside them. A warning that is on
        the screen is not shown a second time.
        """
        now = self._clock()
        if severity != "information":
            if any(toast.message == words for toast in self._app._notifications):  # noqa: SLF001
                return
            self._warned_until = now + TOAST_SECONDS
        elif now >= self._warned_until:
            self._app.clear_notifications()
        self._app.notify(words, severity=severity, markup=False, timeout=TOAST_SECONDS)
