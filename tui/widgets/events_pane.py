"""What happened, and when: validations, checkpoints, samples, warnings, the state of training."""

from __future__ import annotations

from tui.view.format import clock
from tui.view.state import ViewState
from tui.widgets.painted import Painted, Row


class EventsPane(Painted):
    """The newest lines of the log, the last one at the bottom."""

    def show(self, state: ViewState) -> None:
        """Shows the end of the log."""
        width, height = self.size
        lines = state.log[-height:] if height else ()
        rows: list[Row] = [
            ((f"{clock(line.seconds)} ", "label"), (line.text[: max(0, width - 8)], line.paint))
            for line in lines
        ]
        self.present(rows or [(("Nothing has happened yet.", "label"),)])
