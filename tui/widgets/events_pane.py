"""What happened, and when: validations, checkpoints, samples, warnings, the state of training."""

from __future__ import annotations

from tui.view.format import clock
from tui.view.log import LogLine
from tui.view.state import ViewState
from tui.widgets.painted import Painted, Row, sentence_rows


class EventsPane(Painted):
    """The newest lines of the log, the last one at the bottom."""

    def show(self, state: ViewState) -> None:
        """Shows the end of the log."""
        width, height = self.size
        lines = state.log[-height:] if height else ()
        rows = [row for line in lines for row in _line_rows(line, width)]
        empty = sentence_rows("Nothing has happened yet.", width)
        self.present(rows[-height:] if rows else empty)


def _line_rows(line: LogLine, width: int) -> list[Row]:
    """Returns a line of the log, wrapped at words behind its time."""
    time = f"{clock(line.seconds)} "
    first, *others = sentence_rows(line.text, width - len(time), paint=line.paint) or [()]
    gap = ((" " * len(time), "label"),)
    return [((time, "label"), *first), *((*gap, *other) for other in others)]
