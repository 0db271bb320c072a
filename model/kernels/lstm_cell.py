"""The LSTM cell without its products: forward and backward in training, decoding. Numba.

Each is one pass over memory. PyTorch's own operations take some thirty passes, each behind a turn
at the interpreter. Letters: T time, B batch, H hidden; gate rows as in ``nn.LSTM``: i, f, g, o.

`step_units` takes addresses: for an array view Numba computes bounds, counts references and checks
for overlap, which for 32 units takes ten times as long as the step itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from model.kernels.cpu import LANES
from model.kernels.dtypes import BFLOAT16_BYTES, WORD_BYTES, Array, stored_like, to_float32
from model.kernels.jit import Kernel, inline
from model.kernels.vecmath import (
    ONE,
    VectorMath,
    sigmoid,
    tanh,
)


@Kernel
def step_forward(  # noqa: PLR0917 - compiled code takes them by position
    inputs: Array,
    ids: Array,
    bias: Array,
    added: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
    outputs: Array,
    t: int,
    first: int,
) -> None:
    """Makes time step t of some units, the product with the recurrent matrix done.

    Args:
        inputs: [N, 4H], what the layer's inputs can add to the gates.
        ids: [T, B], the row of ``inputs`` that counts.
        bias: [4H].
        added: [B, 4U], what the hidden state adds to the gates of the units.
        gates: [T, B, 4H], after their nonlinearities; written at t.
        cells: [T + 1, B, H], read at t, written at t + 1.
        hiddens: [T + 1, B, H], the hidden state as the products take it, written at t + 1.
        outputs: [T, B, H], the hidden state in full, written at t.
        t: the time step.
        first: of the units.
    """
    width, count = cells.shape[2], added.shape[1] // 4
    i, f, g, o = first, width + first, 2 * width + first, 3 * width + first
    i_bias, f_bias, g_bias, o_bias = bias[i:], bias[f:], bias[g:], bias[o:]
    for b in range(cells.shape[1]):
        row, own, all_gates = inputs[ids[t, b]], added[b], gates[t, b]
        i_in, f_in, g_in, o_in = row[i:], row[f:], row[g:], row[o:]
        i_added, f_added = own[:count], own[count : 2 * count]
        g_added, o_added = own[2 * count : 3 * count], own[3 * count :]
        i_row, f_row, g_row, o_row = all_gates[i:], all_gates[f:], all_gates[g:], all_gates[o:]
        before, after = cells[t, b, first:], cells[t + 1, b, first:]
        hidden_row, output_row = hiddens[t + 1, b, first:], outputs[t, b, first:]
        for j in range(count):
            i_gate = sigmoid(to_float32(i_in[j]) + i_bias[j] + to_float32(i_added[j]))
            f_gate = sigmoid(to_float32(f_in[j]) + f_bias[j] + to_float32(f_added[j]))
            g_gate = tanh(to_float32(g_in[j]) + g_bias[j] + to_float32(g_added[j]))
            o_gate = sigmoid(to_float32(o_in[j]) + o_bias[j] + to_float32(o_added[j]))
            cell = before[j] * f_gate + i_gate * g_gate
            output = o_gate * tanh(cell)
            i_row[j] = i_gate
            f_row[j] = f_gate
            g_row[j] = g_gate
            o_row[j] = o_gate
            after[j] = cell
            output_row[j] = output
        # By itself: with one more array to write to, the loop above is not done in vectors.
        for j in range(count):
            hidden_row[j] = stored_like(output_row[j], hidden_row)


@Kernel
def step_backward(  # noqa: PLR0917
    gates: Array,
    cells: Array,
    outer: Array,
    added: Array,
    d_cell: Array,
    d_gates: Array,
    t: int,
    first: int,
) -> None:
    """Goes back through time step t of some units, the product with the recurrent matrix done.

    Args:
        gates: [T, B, 4H], after their nonlinearities.
        cells: [T + 1, B, H].
        outer: [T, B, H], gradients of the outputs from outside.
        added: [B, U], gradient of this step's hidden state by way of the step after it.
        d_cell: [B, H], gradient of the cell state at t + 1; becomes that at t.
        d_gates: [T, B, 4H], gradients of what goes into the gates, as the products take them;
            written at t.
        t: the time step.
        first: of the units.
    """
    width, count = cells.shape[2], added.shape[1]
    i, f, g, o = first, width + first, 2 * width + first, 3 * width + first
    for b in range(cells.shape[1]):
        row, d_row = gates[t, b], d_gates[t, b]
        i_row, f_row, g_row, o_row = row[i:], row[f:], row[g:], row[o:]
        d_i, d_f, d_g, d_o = d_row[i:], d_row[f:], d_row[g:], d_row[o:]
        before, after = cells[t, b, first:], cells[t + 1, b, first:]
        outer_row, added_row, d_cell_row = outer[t, b, first:], added[b], d_cell[b, first:]
        for j in range(count):
            i_gate, f_gate, g_gate, o_gate = i_row[j], f_row[j], g_row[j], o_row[j]
            tanh_cell = tanh(after[j])
            d_hidden = outer_row[j] + to_float32(added_row[j])
            d_c = d_cell_row[j] + d_hidden * o_gate * (ONE - tanh_cell * tanh_cell)
            d_cell_row[j] = d_c * f_gate
            # The slope of a sigmoid s is s - s^2.
            d_i[j] = stored_like(d_c * g_gate * (i_gate - i_gate * i_gate), d_i)
            d_f[j] = stored_like(d_c * before[j] * (f_gate - f_gate * f_gate), d_f)
            d_g[j] = stored_like(d_c * i_gate * (ONE - g_gate * g_gate), d_g)
            d_o[j] = stored_like(d_hidden * tanh_cell * (o_gate - o_gate * o_gate), d_o)


@Kernel
def sum_rows(rows: Array, ids: Array, sums: Array) -> None:
    """Adds each row to the sum of those with its id, in order.

    Args:
        rows: [N, 4H].
        ids: [N].
        sums: [V, 4H].
    """
    for n in range(len(ids)):
        row, total = rows[n], sums[ids[n]]
        for j in range(rows.shape[1]):
            total[j] += to_float32(row[j])


_FLOAT, _INTEGER, _SHORT = ir.FloatType(), ir.IntType(64), ir.IntType(16)


def _cell_vectors(lanes: int) -> Callable[..., None]:
    """Returns the intrinsic that makes a step of some units, a multiple of ``lanes``.

    It takes eight integers: see `step_units`.
    """

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        count, products, products_gate, added, added_gate, cell, own, above = arguments
        vectors = VectorMath(builder, lanes)
        before, loop = builder.block, builder.append_basic_block("units")
        after = builder.append_basic_block("done")
        there_are = builder.icmp_signed(">", count, ir.Constant(_INTEGER, 0))
        builder.cbranch(there_are, loop, after)
        builder.position_at_end(loop)
        unit = builder.phi(_INTEGER)
        unit.add_incoming(ir.Constant(_INTEGER, 0), before)
        in_full = builder.mul(unit, ir.Constant(_INTEGER, WORD_BYTES))
        in_short = builder.mul(unit, ir.Constant(_INTEGER, BFLOAT16_BYTES))

        def gate(number: int) -> Any:
            place = ir.Constant(_INTEGER, number)
            parts = ((products, products_gate), (added, added_gate))
            starts = (builder.add(start, builder.mul(line, place)) for start, line in parts)
            loaded = (vectors.load(builder.add(start, in_full)) for start in starts)
            return builder.fadd(*loaded)

        times, half = builder.fmul, vectors.all(0.5)
        (i, i_by), (f, f_by), (o, o_by) = (vectors.sigmoid_of_half(gate(n)) for n in range(3))
        g, g_by = vectors.tanh(gate(3))
        carried = builder.add(cell, in_full)
        # c f + i g over one denominator: divisions are what a step waits for.
        by = times(i_by, g_by)
        kept = times(times(vectors.load(carried), f), by)
        sums = vectors.multiply_add(times(i, g), f_by, kept)
        now = builder.fdiv(times(sums, half), times(by, f_by))
        builder.store(now, vectors.at(carried), align=WORD_BYTES)
        c, c_by = vectors.tanh(now)
        rounded = vectors.bfloat16(builder.fdiv(times(times(o, half), c), times(o_by, c_by)))
        for out in (own, above):
            place = vectors.at(builder.add(out, in_short), rounded.type)
            builder.store(rounded, place, align=BFLOAT16_BYTES)
        following = builder.add(unit, ir.Constant(_INTEGER, lanes))
        unit.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    def typed(  # noqa: PLR0917
        _: Any,
        count: Any,  # noqa: ARG001
        sums: Any,  # noqa: ARG001
        sums_gate: Any,  # noqa: ARG001
        added: Any,  # noqa: ARG001
        added_gate: Any,  # noqa: ARG001
        cell: Any,  # noqa: ARG001
        own: Any,  # noqa: ARG001
        above: Any,  # noqa: ARG001
    ) -> Any:
        return types.void(*[types.int64] * 8), generate

    return intrinsic(typed)


_vectors, _units = _cell_vectors(LANES), _cell_vectors(1)


@inline
def step_units(  # noqa: PLR0917 - compiled code takes them by position
    count: int,
    sums: int,
    sums_gate: int,
    added: int,
    added_gate: int,
    cell: int,
    own: int,
    above: int,
) -> None:
    """Makes a step of some units of one stream; everything by address.

    Args:
        count: units.
        sums: float32, what the products add to their first gate.
        sums_gate: bytes from one gate to the next; they are i, f, o, g, the first three halved as
            in ``LayerWeights``.
        added: float32, what else goes into their first gate.
        added_gate: bytes from one gate to the next.
        cell: float32, the cell state; it is brought up to date.
        own: bfloat16, the hidden state; written.
        above: bfloat16, the same for who reads the layer; written.
    """
    whole = count // LANES * LANES
    _vectors(whole, sums, sums_gate, added, added_gate, cell, own, above)
    full, short = whole * WORD_BYTES, whole * BFLOAT16_BYTES
    _units(
        count - whole,
        sums + full,
        sums_gate,
        added + full,
        added_gate,
        cell + full,
        own + short,
        above + short,
    )
