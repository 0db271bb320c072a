"""A row about a crashed worker or a checkpoint that cannot be saved, and what continues."""

from __future__ import annotations

from tui.sanitise import one_line
from tui.view.state import ViewState
from tui.widgets.painted import Painted

_GOES_ON = {"trainer": "writing goes on", "sampler": "training goes on"}


class Banner(Painted):
    """Visible after a worker crashed, and while checkpoints cannot be written."""

    def show(self, state: ViewState) -> None:
        """Shows the last crash; if there is none, the last failure to save."""
        if not state.crashes:
            self._show_save_failure(state)
            return
        crash = state.crashes[-1]
        alone = len({crash.worker for crash in state.crashes}) == 1
        end = f"; {_GOES_ON[crash.worker]}" if alone else ""
        self.display = True
        room = max(10, self.app.size.width - len(end) - 12)
        sentence = one_line(crash.sentence, room)
        self.present([((f" {crash.worker} failed: {sentence}{end}", "bad"),)])

    def _show_save_failure(self, state: ViewState) -> None:
        """Shows that checkpoints cannot be written, until one is written again."""
        failure = state.save_failure
        self.display = failure is not None
        if failure is None:
            return
        width = self.app.size.width - 2
        words = failure_words(failure.sentence, width, trains=state.finished is None)
        self.present([((f" {words}", "bad"),)])


def failure_words(sentence: str, width: int, *, trains: bool) -> str:
    """Returns why nothing is saved and what continues; a narrow row leaves the path out."""
    line = one_line(sentence, 1000)
    short = line.rpartition(": ")[2]
    ends = ("; training goes on, s tries again", "; s tries again", "") if trains else ("",)
    for words, end in ((words, end) for words in (line, short) for end in ends):
        if len(words) + len(end) <= width:
            return words + end
    return one_line(short, max(10, width))
