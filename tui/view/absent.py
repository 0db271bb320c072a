"""What a pane says in the place of figures that are not there (yet). Pure.

A promise is made only while something works that can keep it.
"""

from __future__ import annotations

from tui.view.state import ViewState

CURVE_COMES = "The curve appears with the first steps."
SAMPLES_COME = "After each epoch the model writes samples; they appear here."


def can_still_train(state: ViewState) -> bool:
    """Returns whether steps may follow: a training runs here or in another process."""
    if state.watched is not None and state.watched.is_trained:
        return True
    crashed = any(crash.worker == "trainer" for crash in state.crashes)
    ended = state.finished is not None or state.training == "finished"
    return not (ended or crashed or state.opened is not None)


def no_curve(state: ViewState) -> str:
    """Returns why there is no curve."""
    return CURVE_COMES if can_still_train(state) else _not_kept(state, "curve")


def no_samples(state: ViewState) -> str:
    """Returns why there are no samples."""
    return SAMPLES_COME if can_still_train(state) else _not_kept(state, "samples")


def _not_kept(state: ViewState, what: str) -> str:
    if state.opened is not None and state.losses.smoothed is None:
        return f"This file holds weights and no {what}: no record of its run is beside it."
    return f"This run has recorded no {what}."
