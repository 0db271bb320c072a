"""A row that stays: a worker failed, or a checkpoint is not saved, and what goes on."""

from __future__ import annotations

from tui.sanitise import one_line
from tui.view.state import ViewState
from tui.widgets.painted import Painted

_GOES_ON = {"trainer": "writing goes on", "sampler": "training goes on"}


class Banner(Painted):
    """Hidden until a worker has crashed, and while the newest steps are not saved."""

    def show(self, state: ViewState) -> None:
        """Shows the last crash, if there was one, else the last failure to save."""
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
        """Shows that the disk refuses, until it does no more."""
        failure = state.save_failure
        self.display = failure is not None
        if failure is None:
            return
        width = self.app.size.width - 2
        words = failure_words(failure.sentence, width, trains=state.finished is None)
        self.present([((f" {words}", "bad"),)])


def failure_words(sentence: str, width: int, *, trains: bool) -> str:
    """Returns why nothing is saved and what goes on; the path goes first where it is narrow."""
    line = one_line(sentence, 1000)
    short = line.rpartition(": ")[2]
    ends = ("; training goes on, s tries again", "; s tries again", "") if trains else ("",)
    for words, end in ((words, end) for words in (line, short) for end in ends):
        if len(words) + len(end) <= width:
            return words + end
    return one_line(short, max(10, width))
