"""Drawing the next characters of many streams, for compiled code. Numba.

Nothing here takes views of arrays for a single stream: see ``model.cell_vectors``. Letters: S
streams, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model.cell_kernels import exponential
from model.compiled import compiled

Array = npt.NDArray[Any]


@compiled
def largest(row: Array) -> Any:
    """Returns the largest of some numbers; four at a time, for one must wait for the one before."""
    whole = len(row) // 4 * 4
    a = row[0]
    b, c, d = a, a, a
    for v in range(0, whole, 4):
        a = row[v] if row[v] > a else a  # noqa: FURB136 - max would look for NaN first
        b = row[v + 1] if row[v + 1] > b else b  # noqa: FURB136
        c = row[v + 2] if row[v + 2] > c else c  # noqa: FURB136
        d = row[v + 3] if row[v + 3] > d else d  # noqa: FURB136
    for v in range(whole, len(row)):
        a = row[v] if row[v] > a else a  # noqa: FURB136
    a, c = b if b > a else a, d if d > c else c  # noqa: FURB136
    return c if c > a else a  # noqa: FURB136


@compiled
def draw_all(  # noqa: PLR0917
    logits: Array, noise: Array, n: int, scale: Any, drawn: Array, scores: Array
) -> None:
    """Draws a character for each stream: see ``model.distribution.choose``.

    Args:
        logits: [N + 1, S, V].
        noise: [N, S, V].
        n: which ones.
        scale: of the logits.
        drawn: [S], written.
        scores: [V], written over.
    """
    for s in range(len(drawn)):
        for v in range(len(scores)):
            scores[v] = logits[n, s, v] * scale + noise[n, s, v]
        best, symbol = largest(scores), 0
        while symbol < len(scores) - 1 and scores[symbol] < best:
            symbol += 1
        drawn[s] = symbol


@compiled
def probability(logits: Array, n: int, s: int, symbol: int, scores: Array) -> Any:
    """Returns the probability of a stream's character: see ``probabilities_of``.

    Args:
        logits: [N + 1, S, V].
        n: which ones.
        s: the stream.
        symbol: the character.
        scores: [V], written over.
    """
    symbols = len(scores)
    for v in range(symbols):
        scores[v] = logits[n, s, v]
    most, total = largest(scores), np.float32(0)
    for v in range(symbols):
        number = exponential(scores[v] - most)
        scores[v] = number
        total += number
    return scores[symbol] / total
