"""Work that is deferred until the next frame, and dropped if the app ends before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.terminal.terminal_app import TerminalApp

if TYPE_CHECKING:
    from textual.message_pump import MessagePump


def after_refresh(node: MessagePump, work: Callable[[], object]) -> None:
    """Does something after the next frame, unless the app or this part of it has ended by then.

    An app that exits ends its screens one after the other, and their deferred work falls due
    meanwhile. Textual's own ``call_after_refresh`` would still run it.

    Args:
        node: the app, a screen or a widget, whose work it is.
        work: must not wait.
    """

    def due() -> None:
        app = node.app
        leaves = isinstance(app, TerminalApp) and app.is_leaving
        if not leaves and node.is_running and (node is app or node.is_attached):
            work()

    node.call_after_refresh(due)
