"""Gumbel noise and the draw of the next character, compiled. Numba.

`draw_block` makes the rows that `model.sampling.noise.GumbelNoise` makes in NumPy.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from model.kernels.dtypes import Array
from model.kernels.jit import Kernel, inline
from model.kernels.splitmix import FACTORS, LARGEST_UNIFORM, SHIFTS, STRIDE, UNIFORM_STEP
from model.kernels.vecmath import exp, largest

_STRIDE: Final = np.uint64(STRIDE)
_FIRST_SHIFT, _SECOND_SHIFT, _LAST_SHIFT = (np.uint64(shift) for shift in SHIFTS)
_FIRST_FACTOR, _SECOND_FACTOR = (np.uint64(factor) for factor in FACTORS)
_STEP, _HALF_STEP = np.float32(UNIFORM_STEP), np.float32(UNIFORM_STEP / 2)
_ONE, _HALF = np.float32(1), np.float32(0.5)
_OCTAVE: Final = np.float32(math.log(2))
_ROOT_OF_HALF: Final = np.int32(0x3F3504F3)
"""Its bits as a float32."""
_MANTISSA_BITS: Final = np.int32(23)
"""Of the lowest bit of a float32's exponent."""
_C7, _C6, _C5, _C4, _C3, _C2, _C1, _C0 = (
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
    )
)


@inline
def _log1p(x: Any) -> Any:
    """Returns log(1 + x), 1 + x within half an octave of 1, to 1e-7 of it.

    The coefficients minimise the largest error of ``x - x^2 / 2 + x^3 P(x)``, which is 6e-9 of it.
    """
    p = _C7
    p = p * x + _C6
    p = p * x + _C5
    p = p * x + _C4
    p = p * x + _C3
    p = p * x + _C2
    p = p * x + _C1
    p = p * x + _C0
    return x + x * x * (p * x - _HALF)


@inline
def _octaves(bits: Any) -> Any:
    """Returns how many octaves a number, by its bits, is away from 1, to the nearest."""
    return (bits - _ROOT_OF_HALF) >> _MANTISSA_BITS


@inline
def _within_octave(bits: Any, octaves: Any) -> Any:
    """Returns the number less 1 that is so many octaves nearer to 1."""
    return np.int32(bits - (octaves << _MANTISSA_BITS)).view(np.float32) - _ONE


@inline
def gumbel(bits: Any) -> Any:
    """Returns what ``model.sampling.noise.gumbel`` does, for one number of 32 bits."""
    p = np.float32(bits) * _STEP + _HALF_STEP
    p = p if p < LARGEST_UNIFORM else LARGEST_UNIFORM  # noqa: FURB136 - max would look for NaN first
    rest = np.float32(_ONE - p).view(np.int32)
    octaves = _octaves(rest)
    near = _within_octave(rest, octaves)
    # 1 - p has lost what a small p has of digits. A call in a branch would not be done in vectors.
    near = -p if octaves == 0 else near
    wait = np.float32(-(np.float32(octaves) * _OCTAVE + _log1p(near))).view(np.int32)
    octaves = _octaves(wait)
    return -(np.float32(octaves) * _OCTAVE + _log1p(_within_octave(wait, octaves)))


@Kernel
def draw_block(start: Any, stream: int, words: Array, out: Array) -> None:
    """Draws a block of one stream's noise.

    Args:
        start: ``GumbelNoise.start``, an ``uint64``.
        stream: which one.
        words: uint64 [V], written over.
        out: [`BLOCK`, S, V]; the stream's numbers are written.
    """
    rows, _, width = out.shape
    bits = words.view(np.uint32)
    place = start
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


@inline
def draw_all(  # noqa: PLR0917
    logits: Array, noise: Array, n: int, scale: Any, drawn: Array, scores: Array
) -> None:
    """Draws a character for each stream: see ``model.sampling.distribution.choose``.

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


@inline
def drawn_probability(logits: Array, n: int, s: int, symbol: int, scores: Array) -> Any:
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
        number = exp(scores[v] - most)
        scores[v] = number
        total += number
    return scores[symbol] / total
