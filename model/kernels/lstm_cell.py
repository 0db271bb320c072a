"""The LSTM cell without its products: forward and backward in training, decoding. Numba.

Each kernel is one pass over memory. PyTorch's own operations take some thirty passes, each behind a
turn at the interpreter. Letters: T time, B batch, H hidden, U hidden units of a thread. Gates are
in the order of ``nn.LSTM``, i, f, g, o, except in `step_units`.

`step_units` takes addresses: for an array view Numba computes bounds, counts references and checks
for overlap, which for 32 units takes ten times as long as the step itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from numba import types
from numba.extending import overload

from model.kernels.cpu import LANES
from model.kernels.dtypes import BFLOAT16_BYTES, WORD_BYTES, Array, Numbers, stored_like, to_float32
from model.kernels.ir import address_intrinsic, counted_loop, integer, moved
from model.kernels.jit import Kernel, inline
from model.kernels.vecmath import ONE, VectorMath, sigmoid, tanh


@inline
def step_forward(  # noqa: PLR0917 - compiled code takes them by position
    input_gates: Array,
    ids: Array,
    bias: Array,
    recurrent_gates: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
    outputs: Array,
    t: int,
    first: int,
    count: int,
) -> None:
    """Makes time step t of U units, after the product with the recurrent matrix.

    Args:
        input_gates: float32 or bfloat16 [N, 4H or more], what the layer's inputs add to the gates.
        ids: int64 [T, B], rows of ``input_gates``.
        bias: float32 [4H].
        recurrent_gates: float32 [B, 4U or more], what the hidden state adds to the gates of the
            units.
        gates: float32 [T, B, 4H], the gates after their nonlinearities; written at t.
        cells: float32 [T + 1, B, H], read at t, written at t + 1.
        hiddens: float32 or bfloat16 [T + 1, B, H or more], the hidden state as the products take
            it; bfloat16 is written at t + 1.
        outputs: float32 [T, B, H], the hidden state unrounded; written at t. If ``hiddens`` are
            float32, this is all but the first of them.
        t: the time step.
        first: first of the units.
        count: U.
    """
    width = cells.shape[2]
    i, f, g, o = first, width + first, 2 * width + first, 3 * width + first
    i_bias, f_bias, g_bias, o_bias = bias[i:], bias[f:], bias[g:], bias[o:]
    for b in range(cells.shape[1]):
        # One view per operand and gate, so that the loop below has one index, from 0.
        row, recurrent, all_gates = input_gates[ids[t, b]], recurrent_gates[b], gates[t, b]
        i_in, f_in, g_in, o_in = row[i:], row[f:], row[g:], row[o:]
        i_recurrent, f_recurrent = recurrent[:count], recurrent[count : 2 * count]
        g_recurrent, o_recurrent = recurrent[2 * count : 3 * count], recurrent[3 * count :]
        i_row, f_row, g_row, o_row = all_gates[i:], all_gates[f:], all_gates[g:], all_gates[o:]
        before, after = cells[t, b, first:], cells[t + 1, b, first:]
        hidden_row, output_row = hiddens[t + 1, b, first:], outputs[t, b, first:]
        for j in range(count):
            i_gate = sigmoid(to_float32(i_in[j]) + i_bias[j] + i_recurrent[j])
            f_gate = sigmoid(to_float32(f_in[j]) + f_bias[j] + f_recurrent[j])
            g_gate = tanh(to_float32(g_in[j]) + g_bias[j] + g_recurrent[j])
            o_gate = sigmoid(to_float32(o_in[j]) + o_bias[j] + o_recurrent[j])
            cell = before[j] * f_gate + i_gate * g_gate
            output = o_gate * tanh(cell)
            i_row[j] = i_gate
            f_row[j] = f_gate
            g_row[j] = g_gate
            o_row[j] = o_gate
            after[j] = cell
            output_row[j] = output
        # A separate loop: with one more array to write to, LLVM does not vectorise the one above.
        if hiddens.itemsize < outputs.itemsize:
            for j in range(count):
                hidden_row[j] = stored_like(output_row[j], hidden_row)


@inline
def step_backward(  # noqa: PLR0917
    gates: Array,
    cells: Array,
    d_outputs: Array,
    d_recurrent: Array,
    d_cell: Array,
    d_gates: Array,
    scratch: Array,
    t: int,
    first: int,
    count: int,
) -> None:
    """Goes back through time step t of U units, after the product with the recurrent matrix.

    Args:
        gates: float32 [T, B, 4H], after their nonlinearities.
        cells: float32 [T + 1, B, H].
        d_outputs: float32 [T, B, H or more], gradient of the outputs from what reads the layer.
        d_recurrent: float32 [B, U or more], gradient of the hidden state at t from step t + 1.
        d_cell: float32 [B, H], gradient of the cell state at t + 1; becomes that at t.
        d_gates: float32 or bfloat16 [T, B, 4H or more], gradient of the sums that go into the
            gates, as the products take it; written at t. It may have the memory of ``gates``.
        scratch: float32 [4U].
        t: the time step.
        first: first of the units.
        count: U.
    """
    width = cells.shape[2]
    i, f, g, o = first, width + first, 2 * width + first, 3 * width + first
    for b in range(cells.shape[1]):
        row, d_row = gates[t, b], d_gates[t, b]
        i_row, f_row, g_row, o_row = row[i:], row[f:], row[g:], row[o:]
        d_i, d_f = scratch[:count], scratch[count : 2 * count]
        d_g, d_o = scratch[2 * count : 3 * count], scratch[3 * count :]
        before, after, d_cell_row = cells[t, b, first:], cells[t + 1, b, first:], d_cell[b, first:]
        d_output_row, d_recurrent_row = d_outputs[t, b, first:], d_recurrent[b]
        for j in range(count):
            i_gate, f_gate, g_gate, o_gate = i_row[j], f_row[j], g_row[j], o_row[j]
            # Recomputed, so that a step keeps no more than its gates and cells.
            tanh_cell = tanh(after[j])
            d_hidden = d_output_row[j] + d_recurrent_row[j]
            d_c = d_cell_row[j] + d_hidden * o_gate * (ONE - tanh_cell * tanh_cell)
            d_cell_row[j] = d_c * f_gate
            # The derivative of a sigmoid s is s - s^2, that of a tanh t is 1 - t^2.
            d_i[j] = d_c * g_gate * (i_gate - i_gate * i_gate)
            d_f[j] = d_c * before[j] * (f_gate - f_gate * f_gate)
            d_g[j] = d_c * i_gate * (ONE - g_gate * g_gate)
            d_o[j] = d_hidden * tanh_cell * (o_gate - o_gate * o_gate)
        # Separate loops: LLVM vectorises no loop that writes where it reads.
        for gate in range(4):
            values, stored = scratch[gate * count :], d_row[gate * width + first :]
            for j in range(count):
                stored[j] = stored_like(values[j], stored)


@Kernel
def sum_rows(rows: Array, ids: Array, sums: Array) -> None:
    """Adds each row to the sum with its id, in order: the gradient of a table lookup.

    Args:
        rows: float32 or bfloat16 [N, 4H or more].
        ids: int64 [N].
        sums: float32 [V, 4H]; added to.
    """
    for n in range(len(ids)):
        row, total = rows[n], sums[ids[n]]
        for j in range(sums.shape[1]):
            total[j] += to_float32(row[j])


def _cell_intrinsic(lanes: int, numbers: Numbers) -> Callable[[tuple[int, ...]], None]:
    """Returns the intrinsic that steps a number of units that is a multiple of ``lanes``.

    It takes eight integers; see `step_units`. A unit has the same bits with any number of lanes.
    """

    def generate(builder: Any, *arguments: Any) -> None:
        has_units = builder.icmp_signed(">", arguments[0], integer(0))
        with builder.if_then(has_units):
            _generate_cell(builder, arguments, lanes, numbers)

    return address_intrinsic(generate)


def _generate_cell(builder: Any, arguments: Any, lanes: int, numbers: Numbers) -> None:
    """Generates a loop over vectors of units, at least one."""
    count, sums, sums_gate, bias, bias_gate, cell, next_operand, reader = arguments
    vectors = VectorMath(builder, lanes)
    times, half = builder.fmul, vectors.all(0.5)
    number_bytes = WORD_BYTES if numbers == "float32" else BFLOAT16_BYTES

    def one_vector(unit: Any) -> list[Any]:
        in_float32 = builder.mul(unit, integer(WORD_BYTES))
        in_numbers = builder.mul(unit, integer(number_bytes))

        def gate(number: int) -> Any:
            parts = (sums, sums_gate), (bias, bias_gate)
            starts = (moved(builder, start, distance, number) for start, distance in parts)
            return builder.fadd(*(vectors.load(builder.add(at, in_float32)) for at in starts))

        # Each gate is kept as numerator and denominator: a = a / a_by. The sigmoids are doubled.
        (i, i_by), (f, f_by), (o, o_by) = (vectors.sigmoid_of_half(gate(n)) for n in range(3))
        g, g_by = vectors.tanh(gate(3))
        cell_at = builder.add(cell, in_float32)
        # c f + i g over one denominator: a step waits mostly for its divisions, here two.
        by = times(i_by, g_by)
        kept = times(times(vectors.load(cell_at), f), by)
        total = vectors.multiply_add(times(i, g), f_by, kept)
        after = builder.fdiv(times(total, half), times(by, f_by))
        builder.store(after, vectors.at(cell_at), align=WORD_BYTES)
        c, c_by = vectors.tanh(after)
        hidden = builder.fdiv(times(times(o, half), c), times(o_by, c_by))
        hidden = hidden if numbers == "float32" else vectors.bfloat16(hidden)
        for out in (next_operand, reader):
            place = vectors.at(builder.add(out, in_numbers), hidden.type)
            builder.store(hidden, place, align=number_bytes)
        return [builder.add(unit, integer(lanes))]

    counted_loop(builder, count, [integer(0)], one_vector, step=lanes)


def _cells(numbers: Numbers, number_bytes: int) -> tuple[Any, Any, int]:
    """Returns what steps whole vectors, what steps single units, and the bytes of an operand."""
    return _cell_intrinsic(LANES, numbers), _cell_intrinsic(1, numbers), number_bytes


_CELLS: Final = {
    types.float32: _cells("float32", WORD_BYTES),
    types.uint16: _cells("pairs", BFLOAT16_BYTES),
}


def step_units(like: Array, arguments: tuple[int, ...]) -> None:
    """Steps U units of one stream; all arrays by address, compiled code only.

    The gates are i, f, o, g, and the sums of the first three are halved as in ``LayerWeights``.

    Args:
        like: float32, or bfloat16 in uint16: the dtype of the operands.
        arguments: eight integers. Distances are in bytes:

            - count: U;
            - sums, sums_gate: float32, products of the first gate [U], and the distance from one
              gate to the next;
            - bias, bias_gate: float32, biases of the first gate [U], or a row of the input table,
              and the distance from one gate to the next;
            - cell: float32 [U], the cell state; updated;
            - next_operand: [U] like ``like``, the hidden state for the layer's next step; written;
            - reader: [U], the hidden state for the layer above or the head; written.
    """
    raise NotImplementedError


@overload(step_units)
def _typed_step_units(like: Any, arguments: Any) -> Any:  # noqa: ARG001
    step_vectors, step_single, number_bytes = _CELLS[like.dtype]

    def step(like: Any, arguments: Any) -> None:  # noqa: ARG001
        count, sums, sums_gate, bias, bias_gate, cell, next_operand, reader = arguments
        whole = count // LANES * LANES
        floats, numbers = whole * WORD_BYTES, whole * number_bytes
        step_vectors((whole, sums, sums_gate, bias, bias_gate, cell, next_operand, reader))
        rest = count - whole, sums + floats, sums_gate, bias + floats, bias_gate
        step_single((*rest, cell + floats, next_operand + numbers, reader + numbers))

    return step
