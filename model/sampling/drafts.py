"""Drafts of a line, side by side from one place of a text. NumPy.

It knows no rules: `model.sampling.line_writer` judges the drafts. Letters: S drafts, V vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from model.config import SamplingConfig
from model.constraints.letters import Allowed
from model.sampling.distribution import choose, masked, probabilities_of
from model.steppers.stepper import CarryingBatchStepper, StepperState, Symbols

MIN_PROBABILITY: Final = np.finfo(np.float32).tiny
"""Costs are finite: a character that is less likely counts as this likely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftStart:
    """The place of a text that drafts begin from, and how their characters are drawn."""

    state: StepperState | None
    """State of the stream's stepper; None with a window."""
    recent: tuple[int, ...]
    """The last ids, as many as the window has."""
    window: int | None
    """As in ``CharacterStream``."""
    sampling: SamplingConfig
    allowed: Allowed | None
    initials: Allowed | None = None
    """[V], the symbols that a draft may begin with; None for ``allowed``."""
    noise: Iterator[npt.NDArray[np.float32]]
    """Standard Gumbel noise [S, V] for each character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A drafted line."""

    ids: tuple[int, ...]
    """Its characters, the line feed included."""
    ends: bool
    """Whether it ends in a line feed; otherwise it is too long."""
    bits_per_character: float
    """Mean of -log2 p of its characters at temperature 1, before mask and truncation."""


def drafted_lines(
    stepper: CarryingBatchStepper, start: DraftStart, *, drafts: int, line_feed: int, most: int
) -> list[Draft]:
    """Writes S drafts until each has ended its line or is too long.

    Args:
        stepper: of S streams; its state is replaced.
        start: where the drafts begin.
        drafts: S.
        line_feed: id of the line feed.
        most: characters of the longest draft, the line feed included.
    """
    recent: deque[Symbols] = deque(
        (np.full(drafts, symbol_id, np.intp) for symbol_id in start.recent),
        maxlen=start.window or 1,
    )
    if start.state is not None:
        stepper.state = tuple(np.repeat(part[..., None], drafts, -1) for part in start.state)
        logits = stepper.prime(())
    ids = np.empty((most, drafts), np.intp)
    bits = np.zeros(drafts)
    lengths = np.full(drafts, most)
    growing = np.ones(drafts, bool)
    for count in range(most):
        if start.state is None:
            stepper.reset()
            logits = stepper.prime(recent)
        rows = np.ascontiguousarray(logits.T)
        allowed = start.allowed if count or start.initials is None else start.initials
        chosen = choose(masked(rows, allowed), start.sampling, next(start.noise))
        ids[count] = chosen
        own = np.maximum(probabilities_of(chosen, rows), MIN_PROBABILITY)
        bits[growing] -= np.log2(own[growing])
        ending = growing & (chosen == line_feed)
        lengths[ending] = count + 1
        growing &= ~ending
        if not growing.any():
            break
        recent.append(chosen)
        if start.state is not None:
            logits = stepper.prime([chosen])
    return [
        Draft(
            ids=tuple(ids[:length, number].tolist()),
            ends=not growing[number],
            bits_per_character=float(bits[number] / length),
        )
        for number, length in enumerate(lengths.tolist())
    ]
