"""The product of writing in bfloat16: rows, one for each text, times a matrix that stays the same.

By the matrix unit where the processor has one, else in pairs; a single row in vectors. The sums are
the same for one text as for many: a text must not depend on what is beside it. NumPy, Numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from model.compiled import compiled
from model.matrix_unit import DEPTH, PANEL_STEP, aligned, multiply_tiles
from model.pair_product import (
    ROWS_OF_A_BLOCK,
    multiply_pairs,
    multiply_panels,
    pack_columns,
    pack_panels,
)
from model.processor import HAS_MATRIX_UNIT
from model.snapshot import FloatArray
from model.unit_order import multiply_row

STEP: Final = DEPTH if HAS_MATRIX_UNIT else 2
"""Inner indices are filled up to a multiple of so many."""
_BITS, _PAIR, _NUMBER = 2, 4, 4
"""Bytes of a bfloat16, of two of them and of a float32."""


def pack(matrices: Sequence[FloatArray], streams: int) -> npt.NDArray[np.uint16]:
    """Returns matrices [N, K] as `multiply` takes them for so many texts, one after the other.

    Args:
        matrices: N are multiples of `PANEL`, K of `STEP`.
        streams: S.
    """
    in_panels = HAS_MATRIX_UNIT or streams >= ROWS_OF_A_BLOCK
    pack_one = pack_panels if in_panels else pack_columns
    return aligned(np.concatenate([pack_one(matrix).reshape(-1) for matrix in matrices]))


@compiled
def _by_the_unit(m: int, n: int, k: int, left: int, right: int, out: int) -> None:  # noqa: PLR0917
    steps = k // DEPTH
    if m == 1:
        multiply_row(n, steps, left, right, out)
        return
    multiply_tiles(m, n, steps, left, k * _BITS, right, steps * PANEL_STEP, out, n * _NUMBER, False)


@compiled
def _in_pairs(m: int, n: int, k: int, left: int, right: int, out: int) -> None:  # noqa: PLR0917
    if m >= ROWS_OF_A_BLOCK:
        multiply_panels(m, n, k // 2, left, k * _BITS, right, out)
    else:
        multiply_pairs(m, n, k // 2, left, k * _BITS, _PAIR, right, n, out)


multiply = _by_the_unit if HAS_MATRIX_UNIT else _in_pairs
"""``multiply(m, n, k, left, right, out)``: puts a left [m, k] times a packed matrix into float32
``out`` [m, n], all row by row; matrices by address. Between ``set_up(m)`` and ``let_go()``
of ``model.matrix_unit``."""
