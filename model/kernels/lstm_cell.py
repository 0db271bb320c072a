"""The equations of the LSTM cell, for the units of one vector. LLVM.

Gates are in the order of ``nn.LSTM``: i, f, g, o.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.kernels.ir import View
from model.kernels.vecmath import Units, VectorMath


def squash_gates(
    vectors: VectorMath, sums: Sequence[Any], *, are_halved: bool = False
) -> list[Any]:
    """Generates the nonlinearities of the gates i, f, g, o from the sums that go into them.

    Args:
        vectors: of the units.
        sums: of the four gates.
        are_halved: whether those of i, f and o are halved, as in ``LayerWeights``.
    """
    builder, half = vectors.builder, vectors.all(0.5)
    times = builder.fmul
    sigmoids = [sums[gate] for gate in (0, 1, 3)]
    halves = sigmoids if are_halved else [times(total, half) for total in sigmoids]
    (i, i_by), (f, f_by), (o, o_by) = map(vectors.sigmoid_of_half, halves)
    g, g_by = vectors.tanh(sums[2])
    # One division for all four, of which three are doubled: they take longer than the products.
    i_f, g_o = times(i_by, f_by), times(g_by, o_by)
    inverse = builder.fdiv(half, times(i_f, g_o))
    by_i_f, by_g_o = times(inverse, g_o), times(inverse, i_f)
    i, f = times(times(i, f_by), by_i_f), times(times(f, i_by), by_i_f)
    g, o = times(times(g, o_by), by_g_o), times(times(o, g_by), by_g_o)
    return [i, f, builder.fadd(g, g), o]


def advance_cell(units: Units, gates: Sequence[Any], before: View, after: View) -> Any:
    """Generates a step of the cell from the gates i, f, g, o; returns the hidden state."""
    vectors, (i, f, g, o) = units.vectors, gates
    times = vectors.builder.fmul
    cell = vectors.multiply_add(units.load(before), f, times(i, g))
    units.store(cell, after)
    c, c_by = vectors.tanh(cell)
    return vectors.builder.fdiv(times(o, c), c_by)


def cell_gradients(
    vectors: VectorMath, gates: Sequence[Any], cells: Sequence[Any], d_hidden: Any
) -> tuple[Any, list[Any]]:
    """Generates the gradients of the cell before a time step, and of the sums of its gates.

    Args:
        vectors: of the units.
        gates: i, f, g, o, after their nonlinearities.
        cells: before and after the step, and the gradient of the latter.
        d_hidden: the gradient of the hidden state.
    """
    builder, one, (i, f, g, o) = vectors.builder, vectors.all(1), gates
    times, (before, after, d_after) = builder.fmul, cells
    # Recomputed, so that a step keeps no more than its gates and cells.
    tanh_cell = builder.fdiv(*vectors.tanh(after))
    # The derivative of a sigmoid s is s - s^2, that of a tanh t is 1 - t^2.
    d_tanh = builder.fsub(one, times(tanh_cell, tanh_cell))
    d_c = vectors.multiply_add(times(d_hidden, o), d_tanh, d_after)
    d_i = times(times(d_c, g), builder.fsub(i, times(i, i)))
    d_f = times(times(d_c, before), builder.fsub(f, times(f, f)))
    d_g = times(times(d_c, i), builder.fsub(one, times(g, g)))
    d_o = times(times(d_hidden, tanh_cell), builder.fsub(o, times(o, o)))
    return times(d_c, f), [d_i, d_f, d_g, d_o]
