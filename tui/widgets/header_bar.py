"""The first row: what is being trained, which panes are open, the training's state and clock."""

from __future__ import annotations

from model.config import NETWORKS
from tui.sanitise import one_line
from tui.view.format import clock, percent, short
from tui.view.layout import PANES, PaneArrangement, PaneState
from tui.view.state import ViewState
from tui.widgets.painted import Painted, Part, Row, row_width, spread

_SIGNS = {
    "preparing": ("◌", "o", "PREPARING", "warn"),
    "training": ("●", "*", "TRAINING", "good"),
    "paused": ("‖", "=", "PAUSED", "warn"),
    "validating": ("◍", "%", "VALIDATING", "accent"),
    "finished": ("✓", "+", "DONE", "good"),
}
_DIGIT_PAINTS: dict[PaneState, str] = {"open": "chosen", "hidden": "waiting", "closed": "label"}
_REASONS = {"completed": "", "stopped": " stopped", "diverged": " diverged"}


class HeaderBar(Painted):
    """Corpus and network on the left; digits of the panes, training state and time on the right."""

    def show(
        self, state: ViewState, title: str, now: float, panes: PaneArrangement, *, ascii_only: bool
    ) -> None:
        """Shows the state at a time.

        The digit of an open pane is reversed. That of a pane without room is underlined.
        """
        width, identity = self.size.width, _identity(state, title)
        time: Row = (("  ", "label"), (clock(state.elapsed(now)), "value"), (" ", "label"))
        state_and_time: Row = ((" ", "label"), state_sign(state, ascii_only=ascii_only), *time)
        right = (*_digits(panes, gap=" "), *state_and_time)
        if row_width((*identity[:2], *right)) > width:
            right = (*_digits(panes, gap=""), *state_and_time)
        left = _fitting(identity, width - row_width(right) - 1)
        self.present([spread(left, right, width)])

    def click_action(self, part: Part) -> str | None:
        """Returns the action of a digit: to open or close its pane."""
        text, paint = part
        pane = next((pane for pane in PANES if pane.digit == text), None)
        if pane is None or paint not in _DIGIT_PAINTS.values():
            return None
        return f"screen.toggle_pane('{pane.id}')"


def _digits(panes: PaneArrangement, *, gap: str) -> Row:
    """Returns the digits of the panes, each painted by whether its pane is open."""
    return (
        (" ", "label"),
        *(
            part
            for pane in PANES
            for part in ((pane.digit, _DIGIT_PAINTS[panes.state_of(pane.id)]), (gap, "label"))
        ),
    )


def state_sign(state: ViewState, *, ascii_only: bool) -> Part:
    """Returns the training state as a sign and a word, readable without colour."""
    if any(crash.worker == "trainer" for crash in state.crashes):
        return ("! TRAINER FAILED" if ascii_only else "✗ TRAINER FAILED", "bad")
    sign, plain_sign, word, paint = _SIGNS[state.training]
    if state.training == "preparing" and state.stage:
        word = f"{word} {one_line(state.stage, 28)}"
        if state.fraction is not None:
            word = f"{word} {percent(state.fraction)}"
    if state.opened is not None:
        word = "OPENED"
    if state.watched is not None and state.training == "training":
        word = "WATCHING"
    elif state.watched is not None and state.training == "finished" and state.finished is None:
        return ("! INTERRUPTED", "warn")
    if state.finished is not None:
        word += _REASONS[state.finished.reason]
        paint = "bad" if state.finished.reason == "diverged" else paint
    return (f"{plain_sign if ascii_only else sign} {word}", paint)


def _fitting(parts: Row, room: int) -> Row:
    """Returns the parts that fit: the corpus stays longest, and ends in an ellipsis if need be."""
    program, corpus, *others = parts
    kept = [program, corpus, *others]
    while len(kept) > 2 and row_width(tuple(kept)) > room:
        kept.pop()
    if row_width(tuple(kept)) > room:
        name = one_line(corpus[0].strip(), max(1, room - 2))
        kept = [(f" {name}", corpus[1])]
    return tuple(kept)


def _identity(state: ViewState, title: str) -> Row:
    """Returns the program, the corpus and the shape of the network, most important first."""
    run = state.run
    parts: list[Part] = [(" charlm-tui", "strong")]
    parts.append((f"  {one_line(run.corpus if run else title, 40)}", "accent"))
    if state.layers and state.hidden:
        parts.append((f"  {NETWORKS[state.network].title} {state.layers}x{state.hidden}", "value"))
    if run:
        parts.append((f"  {short(run.parameters)} params", "label"))
        parts.append((f"  {one_line(run.device, 20)}", "label"))
    return tuple(parts)
