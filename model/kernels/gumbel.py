"""Gumbel noise and the draw of the next character, compiled. Numba.

`draw_block` makes the rows that `model.sampling.noise.GumbelNoise` makes in NumPy. Letters: N
characters, S streams, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from model.kernels.dtypes import Array
from model.kernels.jit import Kernel, inline, merged
from model.kernels.splitmix import FACTORS, LARGEST_UNIFORM, SHIFTS, STRIDE, UNIFORM_STEP
from model.kernels.truncation import draw_truncated, is_kept, keeps_each_alone
from model.kernels.vecmath import exponentials, largest, multiply_add, polynomial, total_of

_STRIDE: Final = np.uint64(STRIDE)
_FIRST_SHIFT, _SECOND_SHIFT, _LAST_SHIFT = (np.uint64(shift) for shift in SHIFTS)
_FIRST_FACTOR, _SECOND_FACTOR = (np.uint64(factor) for factor in FACTORS)
_STEP, _HALF_STEP = np.float32(UNIFORM_STEP), np.float32(UNIFORM_STEP / 2)
_ONE: Final = np.float32(1)
_LOG_2: Final = np.float32(math.log(2))
_ROOT_OF_HALF: Final = np.int32(0x3F3504F3)
"""Bits of the float32 nearest to the square root of 1/2."""
_MANTISSA_BITS: Final = np.int32(23)
"""Bits of a float32 below its exponent."""
_LOG1P_SERIES: Final = tuple(
    np.float32(coefficient)
    for coefficient in (
        -7.634310469e-02,
        1.276150216e-01,
        -1.316021758e-01,
        1.420177053e-01,
        -1.662335495e-01,
        2.000122629e-01,
        -2.500082109e-01,
        3.333333171e-01,
        -0.5,
    )
)


@inline
def _log1p(x: Any) -> Any:
    """Returns log(1 + x) for 1 + x between 2^-0.5 and 2^0.5, with a relative error of 1e-7.

    The coefficients minimise the largest relative error of ``x - x^2 / 2 + x^3 P(x)``: 6e-9.
    """
    return multiply_add(x * x, polynomial(x, _LOG1P_SERIES), x)


@inline
def _exponent(bits: Any) -> Any:
    """Returns the n of y = 2^n m with m nearest to 1, from the bits of y."""
    return (bits - _ROOT_OF_HALF) >> _MANTISSA_BITS


@inline
def _mantissa_less_one(bits: Any, exponent: Any) -> Any:
    """Returns m - 1 of y = 2^n m, from the bits of y and n; see `_exponent`."""
    return np.int32(bits - (exponent << _MANTISSA_BITS)).view(np.float32) - _ONE


@inline
def gumbel(bits: Any) -> Any:
    """Returns -log(-log(u)) of the uniform number u that 32 random bits stand for.

    ``model.sampling.noise.gumbel`` does the same in NumPy. Both logarithms are n log(2) + log(m).
    """
    p = np.float32(bits) * _STEP + _HALF_STEP
    p = p if p < LARGEST_UNIFORM else LARGEST_UNIFORM  # noqa: FURB136 - max would look for NaN first
    rest = np.float32(_ONE - p).view(np.int32)
    n = _exponent(rest)
    m = _mantissa_less_one(rest, n)
    # Near 1, 1 - p has lost the last digits of a small p, so p itself is taken. Both values are
    # computed before the choice, because LLVM does not vectorise a call in a branch.
    m = -p if n == 0 else m
    wait = np.float32(-multiply_add(np.float32(n), _LOG_2, _log1p(m))).view(np.int32)
    n = _exponent(wait)
    return -multiply_add(np.float32(n), _LOG_2, _log1p(_mantissa_less_one(wait, n)))


@Kernel
def draw_block(start: Any, stream: int, words: Array, out: Array) -> None:
    """Draws a block of one stream's noise.

    Args:
        start: uint64, ``GumbelNoise.start`` of the block.
        stream: index of the stream.
        words: uint64 [V]; scratch.
        out: float32 [`BLOCK`, S, V]; the stream's numbers are written.
    """
    rows, _, width = out.shape
    bits = words.view(np.uint32)
    place = start
    # Two rows at a time: V words of 64 bits are 2 V numbers of 32.
    for row in range(0, rows, 2):
        for v in range(width):
            word = place + np.uint64(v) * _STRIDE
            word = (word ^ (word >> _FIRST_SHIFT)) * _FIRST_FACTOR
            word = (word ^ (word >> _SECOND_SHIFT)) * _SECOND_FACTOR
            words[v] = word ^ (word >> _LAST_SHIFT)
        place += np.uint64(width) * _STRIDE
        for v in range(width):
            out[row, stream, v] = gumbel(bits[v])
            out[row + 1, stream, v] = gumbel(bits[width + v])


@merged
def draw_all(
    logits: Array, noise: Array, n: int, scale: Any, rules: Array, drawn: Array, scores: Array
) -> None:
    """Draws character n of each stream; see ``model.sampling.distribution.choose``.

    Args:
        logits: float32 [N + 1, S, V].
        noise: float32 [N, S, V], Gumbel.
        n: index of the character.
        scale: float32, 1 / temperature.
        rules: float64 [5], see `draw_truncated`; [0] without truncation.
        drawn: int64 [S]; written.
        scores: float32 [V]; scratch.
    """
    alone = len(rules) == 0 or keeps_each_alone(rules)
    for s in range(len(drawn)):
        if not alone:
            drawn[s] = draw_truncated(logits[n, s], noise[n, s], rules)
            continue
        for v in range(len(scores)):
            scores[v] = logits[n, s, v] * scale + noise[n, s, v]
        drawn[s] = _place_of_largest(scores)
        while len(rules) and not is_kept(drawn[s], logits[n, s], scale, rules):
            scores[drawn[s]] = -np.inf
            drawn[s] = _place_of_largest(scores)


@merged
def _place_of_largest(scores: Array) -> int:
    """Returns the place of the largest number, or of a NaN before it."""
    # The maximum first, in vectors; then its place. A loop that tracks both is not vectorised.
    best, place = largest(scores), 0
    while place < len(scores) - 1 and scores[place] < best:
        place += 1
    return place


@merged
def drawn_probability(logits: Array, n: int, s: int, symbol: int, scores: Array) -> Any:
    """Returns the probability of a stream's character at temperature 1; see ``probabilities_of``.

    Args:
        logits: float32 [N + 1, S, V].
        n: index of the character.
        s: index of the stream.
        symbol: id of the character.
        scores: float32 [V]; scratch.
    """
    for v in range(len(scores)):  # a view of the row would cost more
        scores[v] = logits[n, s, v]
    most = largest(scores)
    exponentials(scores, most, np.float32(1), scores)
    return scores[symbol] / total_of(scores)


@merged
def record_drawn(
    logits: Array,
    n: int,
    streams: tuple[int, int],
    drawn: Array,
    scores: Array,
    ids: Array,
    probabilities: Array,
) -> None:
    """Writes ids and probabilities of character n of some streams.

    Args:
        logits: float32 [N + 1, S, V].
        n: index of the character.
        streams: the first stream, and the end of the streams.
        drawn: int64 [S or more], the characters.
        scores: float32 [V]; scratch.
        ids: int64 [N, S]; written.
        probabilities: float32 [N, S]; written.
    """
    for s in range(streams[0], streams[1]):
        ids[n, s] = drawn[s]
        probabilities[n, s] = drawn_probability(logits, n, s, drawn[s], scores)
