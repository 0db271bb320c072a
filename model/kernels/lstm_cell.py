"""The LSTM cell without its products: forward and backward in training, decoding. Numba, LLVM.

Each is one pass over memory, in generated code. PyTorch's own operations take some thirty passes,
each behind a turn at the interpreter. Letters: T time, B batch, H hidden, U hidden units of a
thread. Gates are in the order of ``nn.LSTM``, i, f, g, o, except in decoding.

Generated code takes addresses: for an array view Numba computes bounds, counts references and
checks for overlap, which for 32 units takes ten times as long as the step itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from numba import types
from numba.extending import overload

from model.kernels.cpu import LANES
from model.kernels.dtypes import BFLOAT16_BYTES, WORD_BYTES, Array, Numbers
from model.kernels.ir import address_intrinsic, counted_loop, integer, moved
from model.kernels.jit import inline
from model.kernels.vecmath import VectorMath

_BYTES: Final[dict[Numbers, int]] = {"float32": WORD_BYTES, "pairs": BFLOAT16_BYTES}
_NUMBERS: Final[dict[Any, Numbers]] = {types.float32: "float32", types.uint16: "pairs"}


@inline
def step_forward(  # noqa: PLR0917 - compiled code takes them by position
    input_gates: Array,
    ids: Array,
    bias: Array,
    recurrent_gates: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
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
        gates: float32 or bfloat16 [T, B, 4H or more], the gates after their nonlinearities; written
            at t.
        cells: float32 [T + 1, B, H], read at t, written at t + 1.
        hiddens: like ``gates``, [T + 1, B, H or more], the hidden state; written at t + 1.
        t: the time step.
        first: first of the units.
        count: U.
    """
    width = cells.shape[2]
    before, after, gates_now, hidden = cells[t], cells[t + 1], gates[t], hiddens[t + 1]
    for b in range(cells.shape[1]):
        _forward(
            input_gates,
            gates,
            (
                count,
                _place(input_gates, ids[t, b], first),
                width * input_gates.itemsize,
                bias.ctypes.data + first * WORD_BYTES,
                width * WORD_BYTES,
                _place(recurrent_gates, b, 0),
                count * WORD_BYTES,
                _place(before, b, first),
                _place(after, b, first),
                _place(gates_now, b, first),
                width * gates.itemsize,
                _place(hidden, b, first),
            ),
        )


@inline
def step_backward(  # noqa: PLR0917
    gates: Array,
    cells: Array,
    d_outputs: Array,
    d_recurrent: Array,
    d_cell: Array,
    t: int,
    first: int,
    count: int,
) -> None:
    """Goes back through time step t of U units, after the product with the recurrent matrix.

    Args:
        gates: float32 or bfloat16 [T, B, 4H or more], the gates after their nonlinearities; becomes
            the gradient of the sums that go into them at t.
        cells: float32 [T + 1, B, H].
        d_outputs: float32 [T, B, H or more], gradient of the outputs from what reads the layer.
        d_recurrent: float32 [B, U or more], gradient of the hidden state at t from step t + 1.
        d_cell: float32 [B, H], gradient of the cell state at t + 1; becomes that at t.
        t: the time step.
        first: first of the units.
        count: U.
    """
    width = cells.shape[2]
    before, after, gates_now, d_output = cells[t], cells[t + 1], gates[t], d_outputs[t]
    for b in range(cells.shape[1]):
        _backward(
            gates,
            gates,
            (
                count,
                _place(gates_now, b, first),
                width * gates.itemsize,
                _place(before, b, first),
                _place(after, b, first),
                _place(d_output, b, first),
                _place(d_recurrent, b, 0),
                _place(d_cell, b, first),
            ),
        )


@inline
def _place(matrix: Array, row: int, column: int) -> int:
    """Returns the address of an entry of a matrix whose rows have no gaps."""
    return matrix.ctypes.data + row * matrix.strides[0] + column * matrix.itemsize


def _over_units(builder: Any, count: Any, one_vector: Callable[[VectorMath, Any], None]) -> None:
    """Generates a loop over vectors of units, and one over the units that are left.

    A unit has the same bits in either.

    Args:
        builder: of LLVM code.
        count: int64, the number of units.
        one_vector: generates one pass, for the units from its second argument, an int64.
    """
    whole = builder.and_(count, integer(-LANES))
    rest = builder.sub(count, whole)
    for lanes, first, units in ((LANES, integer(0), whole), (1, whole, rest)):

        def step(vectors: VectorMath, unit: Any) -> list[Any]:
            one_vector(vectors, unit)
            return [builder.add(unit, integer(vectors.lanes))]

        with builder.if_then(builder.icmp_signed(">", units, integer(0))):
            body = partial(step, VectorMath(builder, lanes))
            counted_loop(builder, units, [first], body, step=lanes)


def _at(builder: Any, start: Any, unit: Any, numbers: Numbers) -> Any:
    """Returns the address of a unit's number, where those of all units begin at ``start``."""
    return moved(builder, start, unit, _BYTES[numbers])


def _generate_forward(builder: Any, *arguments: Any, inputs: Numbers, numbers: Numbers) -> None:
    """Generates `step_forward` of one stream.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's input gate, bias,
            recurrent gate, each with the distance in bytes from one gate to the next; of its cell
            before and after; of its gate, with that distance; of its hidden state.
        inputs: of the input gates.
        numbers: of gates and hidden state.
    """
    count, *sums, before, after, gates, gates_gate, hidden = arguments

    def one_vector(vectors: VectorMath, unit: Any) -> None:
        times, half = builder.fmul, vectors.all(0.5)

        def load(start: Any, kind: Numbers = "float32") -> Any:
            return vectors.load(_at(builder, start, unit, kind), kind)

        def store(vector: Any, start: Any, kind: Numbers) -> None:
            vectors.store(vector, _at(builder, start, unit, kind), kind)

        def total(gate: int) -> Any:
            starts = [
                moved(builder, *part, gate) for part in zip(sums[::2], sums[1::2], strict=True)
            ]
            first, *others = starts
            added = load(first, inputs)
            for start in others:
                added = builder.fadd(added, load(start))
            return added

        (i, i_by), (f, f_by), (o, o_by) = (
            vectors.sigmoid_of_half(times(total(gate), half)) for gate in (0, 1, 3)
        )
        g, g_by = vectors.tanh(total(2))
        # One division for all four, of which three are doubled: they take longer than the products.
        i_f, g_o = times(i_by, f_by), times(g_by, o_by)
        inverse = builder.fdiv(half, times(i_f, g_o))
        by_i_f, by_g_o = times(inverse, g_o), times(inverse, i_f)
        i, f = times(times(i, f_by), by_i_f), times(times(f, i_by), by_i_f)
        g, o = times(times(g, o_by), by_g_o), times(times(o, g_by), by_g_o)
        g = builder.fadd(g, g)
        for gate, vector in enumerate((i, f, g, o)):
            store(vector, moved(builder, gates, gates_gate, gate), numbers)
        cell = vectors.multiply_add(load(before), f, times(i, g))
        store(cell, after, "float32")
        c, c_by = vectors.tanh(cell)
        store(builder.fdiv(times(o, c), c_by), hidden, numbers)

    _over_units(builder, count, one_vector)


def _generate_backward(
    builder: Any,
    *arguments: Any,
    inputs: Numbers,  # noqa: ARG001 - the same for all cells
    numbers: Numbers,
) -> None:
    """Generates `step_backward` of one stream.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's gate, with the
            distance in bytes from one gate to the next; of its cell before and after, and of the
            gradients of output, hidden state and cell.
        inputs: of no matter.
        numbers: of the gates.
    """
    count, gates, gates_gate, before, after, d_output, d_recurrent, d_cell = arguments

    def one_vector(vectors: VectorMath, unit: Any) -> None:
        times, one = builder.fmul, vectors.all(1)

        def load(start: Any) -> Any:
            return vectors.load(_at(builder, start, unit, "float32"))

        places = [
            _at(builder, moved(builder, gates, gates_gate, gate), unit, numbers)
            for gate in range(4)
        ]
        i, f, g, o = (vectors.load(place, numbers) for place in places)
        # Recomputed, so that a step keeps no more than its gates and cells.
        tanh_cell = builder.fdiv(*vectors.tanh(load(after)))
        d_hidden = builder.fadd(load(d_output), load(d_recurrent))
        # The derivative of a sigmoid s is s - s^2, that of a tanh t is 1 - t^2.
        d_tanh = builder.fsub(one, times(tanh_cell, tanh_cell))
        d_c = vectors.multiply_add(times(d_hidden, o), d_tanh, load(d_cell))
        vectors.store(times(d_c, f), _at(builder, d_cell, unit, "float32"))
        d_i = times(times(d_c, g), builder.fsub(i, times(i, i)))
        d_f = times(times(d_c, load(before)), builder.fsub(f, times(f, f)))
        d_g = times(times(d_c, i), builder.fsub(one, times(g, g)))
        d_o = times(times(d_hidden, tanh_cell), builder.fsub(o, times(o, o)))
        for place, vector in zip(places, (d_i, d_f, d_g, d_o), strict=True):
            vectors.store(vector, place, numbers)

    _over_units(builder, count, one_vector)


def _generate_decoding(
    builder: Any,
    *arguments: Any,
    inputs: Numbers,  # noqa: ARG001 - the same for all cells
    numbers: Numbers,
) -> None:
    """Generates `step_units`.

    The gates are i, f, o, g, and the sums of the first three are halved as in ``LayerWeights``.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's product of the
            first gate, and bias of that gate or input table's row, each with the distance in bytes
            from one gate to the next; of its cell, which is updated; of its hidden state for the
            layer's next step, and for the layer above or the head. Both are written.
        inputs: of no matter.
        numbers: of the hidden states.
    """
    count, sums, sums_gate, bias, bias_gate, cell, next_operand, reader = arguments

    def one_vector(vectors: VectorMath, unit: Any) -> None:
        times, half = builder.fmul, vectors.all(0.5)

        def gate(number: int) -> Any:
            parts = (sums, sums_gate), (bias, bias_gate)
            starts = (moved(builder, start, distance, number) for start, distance in parts)
            return builder.fadd(
                *(vectors.load(_at(builder, start, unit, "float32")) for start in starts)
            )

        # Each gate is kept as numerator and denominator: a = a / a_by. The sigmoids are doubled.
        (i, i_by), (f, f_by), (o, o_by) = (vectors.sigmoid_of_half(gate(n)) for n in range(3))
        g, g_by = vectors.tanh(gate(3))
        cell_at = _at(builder, cell, unit, "float32")
        # c f + i g over one denominator: a step waits mostly for its divisions, here two.
        by = times(i_by, g_by)
        kept = times(times(vectors.load(cell_at), f), by)
        total = vectors.multiply_add(times(i, g), f_by, kept)
        after = builder.fdiv(times(total, half), times(by, f_by))
        vectors.store(after, cell_at)
        c, c_by = vectors.tanh(after)
        hidden = builder.fdiv(times(times(o, half), c), times(o_by, c_by))
        for out in (next_operand, reader):
            vectors.store(hidden, _at(builder, out, unit, numbers), numbers)

    _over_units(builder, count, one_vector)


def _cell(generate: Callable[..., None]) -> Callable[[Array, Array, tuple[int, ...]], None]:
    """Returns a function for compiled code that runs generated code.

    It takes two arrays, of which only the dtypes matter, and the integers.
    """
    steps = {
        (inputs, numbers): address_intrinsic(
            partial(generate, inputs=_NUMBERS[inputs], numbers=_NUMBERS[numbers])
        )
        for inputs in _NUMBERS
        for numbers in _NUMBERS
    }

    def run(inputs: Array, numbers: Array, arguments: tuple[int, ...]) -> None:
        raise NotImplementedError

    @overload(run)
    def typed(inputs: Any, numbers: Any, arguments: Any) -> Any:  # noqa: ARG001
        step = steps[inputs.dtype, numbers.dtype]

        def stepped(inputs: Any, numbers: Any, arguments: Any) -> None:  # noqa: ARG001
            step(arguments)

        return stepped

    return run


_forward = _cell(_generate_forward)
_backward = _cell(_generate_backward)
step_units = _cell(_generate_decoding)
"""Steps U units of one stream in decoding; see `_generate_decoding`."""
