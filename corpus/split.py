"""Splits a text into a part for training and a part for validation.

The held-out part is the end of the text, in one piece. Random windows would share characters with
the training windows around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Two views of one array of ids that together cover it, in order."""

    train: NDArray[Any]
    """The first part, shape (characters - held out,)."""

    held_out: NDArray[Any]
    """The last part, shape (round(characters * fraction),); may be empty."""


def split_ids(ids: NDArray[Any], validation_fraction: float) -> Split:
    """Holds out the last `int(round(len(ids) * validation_fraction))` ids; nothing is copied.

    Half a character is rounded to the even neighbour, as Python's `round` does it.

    Raises:
        ValueError: the fraction is not in [0, 1], or the ids are not one-dimensional.
    """
    if ids.ndim != 1:
        raise ValueError(f"ids have shape (characters,), not {ids.shape}")
    if not 0.0 <= validation_fraction <= 1.0:
        raise ValueError(f"validation_fraction is from 0 to 1, not {validation_fraction!r}")
    border = len(ids) - round(len(ids) * validation_fraction)
    return Split(train=ids[:border], held_out=ids[border:])
