"""What the screen says of what is not there (yet): figures, and symbols of a model. Pure.

A promise is made only while something works that can keep it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from model.events import AuthorsOpened
from tui.clusters import is_mark
from tui.sanitise import drawn, one_line

if TYPE_CHECKING:  # whose log has lines with words of this module
    from tui.view.state import ViewState

CURVE_COMES = "The curve appears with the first steps."
SAMPLES_COME = "After each epoch the model writes samples; they appear here."

_LISTED_SYMBOLS: Final = 12
"""Symbols that a sentence lists before it ends in dots."""


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


def lacking_words(event: AuthorsOpened) -> list[str]:
    """Returns a sentence for each of two models that lacks symbols which the other has."""
    sentences = []
    for name, lacking in zip(event.names, event.lacking, strict=True):
        if lacking:
            listed = " ".join(map(_symbol_words, lacking[:_LISTED_SYMBOLS]))
            more = " ..." if len(lacking) > _LISTED_SYMBOLS else ""
            sentences.append(
                f"{one_line(name, 40)} lacks {len(lacking):,} of the {event.symbols:,} symbols: "
                f"{listed}{more}"
            )
    return sentences


def _symbol_words(symbol: str) -> str:
    """Returns a symbol as it is if it shows alone, otherwise its code point."""
    shows = symbol.isprintable() and not symbol.isspace() and not is_mark(symbol)
    return drawn(symbol) if shows else f"U+{ord(symbol):04X}"


def _not_kept(state: ViewState, what: str) -> str:
    if state.opened is not None and state.losses.smoothed is None:
        return f"This file holds weights and no {what}: no record of its run is beside it."
    return f"This run has recorded no {what}."
