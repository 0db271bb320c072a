"""A row that stays: something of ours failed, and what goes on."""

from __future__ import annotations

from tui.sanitise import one_line
from tui.view_state import ViewState
from tui.widgets.painted import Painted

_GOES_ON = {"trainer": "writing goes on", "sampler": "training goes on"}


class Banner(Painted):
    """Hidden until a worker has crashed."""

    def show(self, state: ViewState) -> None:
        """Shows the last crash, if there was one."""
        if not state.crashes:
            return
        crash = state.crashes[-1]
        alone = len({crash.worker for crash in state.crashes}) == 1
        end = f"; {_GOES_ON[crash.worker]}" if alone else ""
        self.display = True
        room = max(10, self.app.size.width - len(end) - 12)
        sentence = one_line(crash.sentence, room)
        self.present([((f" {crash.worker} failed: {sentence}{end}", "bad"),)])
