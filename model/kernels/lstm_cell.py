"""The LSTM cell without its products: forward and backward in training, decoding. Numba, LLVM.

Each is one pass over memory, in generated code. PyTorch's own operations take some thirty passes,
each behind a turn at the interpreter. Letters: T time, B batch, H hidden, U hidden units of a
thread. Gates are in the order of ``nn.LSTM``, i, f, g, o, except in decoding.

Generated code takes addresses: for an array view Numba computes bounds, counts references and
checks for overlap, which for 32 units takes ten times as long as the step itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
                place(input_gates, ids[t, b], first),
                width * input_gates.itemsize,
                bias.ctypes.data + first * WORD_BYTES,
                width * WORD_BYTES,
                place(recurrent_gates, b, 0),
                count * WORD_BYTES,
                place(before, b, first),
                place(after, b, first),
                place(gates_now, b, first),
                width * gates.itemsize,
                place(hidden, b, first),
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
            (
                count,
                place(gates_now, b, first),
                width * gates.itemsize,
                place(before, b, first),
                place(after, b, first),
                place(d_output, b, first),
                place(d_recurrent, b, 0),
                place(d_cell, b, first),
            ),
        )


@inline
def place(matrix: Array, row: int, column: int) -> int:
    """Returns the address of an entry of a matrix whose rows have no gaps."""
    return matrix.ctypes.data + row * matrix.strides[0] + column * matrix.itemsize


class Units:
    """Some units of one stream in generated code: one vector, or the lanes of one.

    All addresses are int64, and those of the stream's first unit.
    """

    def __init__(self, vectors: VectorMath, unit: Any) -> None:
        self.vectors, self._unit = vectors, unit

    def load(self, start: Any, numbers: Numbers = "float32") -> Any:
        """Loads the units' numbers as float32."""
        return self.vectors.load(self._at(start, numbers), numbers)

    def store(self, vector: Any, start: Any, numbers: Numbers = "float32") -> None:
        """Stores the units' numbers."""
        self.vectors.store(vector, self._at(start, numbers), numbers)

    def gates(self, start: Any, distance: Any) -> list[Any]:
        """Returns the addresses of the four gates; the distance between them is in bytes."""
        return [moved(self.vectors.builder, start, distance, gate) for gate in range(4)]

    def _at(self, start: Any, numbers: Numbers) -> Any:
        return moved(self.vectors.builder, start, self._unit, _BYTES[numbers])


def over_units(builder: Any, count: Any, one_vector: Callable[[Units], None]) -> None:
    """Generates a loop over vectors of units, and one over the units that are left.

    A unit has the same bits in either.

    Args:
        builder: of LLVM code.
        count: int64, the number of units.
        one_vector: generates one pass.
    """
    whole = builder.and_(count, integer(-LANES))
    rest = builder.sub(count, whole)
    for lanes, first, units in ((LANES, integer(0), whole), (1, whole, rest)):

        def step(vectors: VectorMath, unit: Any) -> list[Any]:
            one_vector(Units(vectors, unit))
            return [builder.add(unit, integer(vectors.lanes))]

        with builder.if_then(builder.icmp_signed(">", units, integer(0))):
            body = partial(step, VectorMath(builder, lanes))
            counted_loop(builder, units, [first], body, step=lanes)


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


def advance_cell(vectors: VectorMath, gates: Sequence[Any], before: Any) -> tuple[Any, Any]:
    """Generates the cell after a time step, and the hidden state, from the gates i, f, g, o."""
    times, (i, f, g, o) = vectors.builder.fmul, gates
    cell = vectors.multiply_add(before, f, times(i, g))
    c, c_by = vectors.tanh(cell)
    return cell, vectors.builder.fdiv(times(o, c), c_by)


def cell_gradients(
    vectors: VectorMath, gates: Sequence[Any], cells: tuple[Any, Any, Any], d_hidden: Any
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

    def one_vector(units: Units) -> None:
        first, *others = (units.gates(*part) for part in zip(sums[::2], sums[1::2], strict=True))
        totals = [units.load(start, inputs) for start in first]
        for starts in others:
            pairs = zip(totals, starts, strict=True)
            totals = [builder.fadd(total, units.load(start)) for total, start in pairs]
        squashed = squash_gates(units.vectors, totals)
        for vector, start in zip(squashed, units.gates(gates, gates_gate), strict=True):
            units.store(vector, start, numbers)
        cell, output = advance_cell(units.vectors, squashed, units.load(before))
        units.store(cell, after)
        units.store(output, hidden, numbers)

    over_units(builder, count, one_vector)


def _generate_backward(builder: Any, *arguments: Any, numbers: Numbers) -> None:
    """Generates `step_backward` of one stream.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's gate, with the
            distance in bytes from one gate to the next; of its cell before and after, and of the
            gradients of output, hidden state and cell.
        numbers: of the gates.
    """
    count, gates, gates_gate, before, after, d_output, d_recurrent, d_cell = arguments

    def one_vector(units: Units) -> None:
        starts = units.gates(gates, gates_gate)
        squashed = [units.load(start, numbers) for start in starts]
        d_hidden = builder.fadd(units.load(d_output), units.load(d_recurrent))
        cells = units.load(before), units.load(after), units.load(d_cell)
        d_before, d_gates = cell_gradients(units.vectors, squashed, cells, d_hidden)
        units.store(d_before, d_cell)
        for vector, start in zip(d_gates, starts, strict=True):
            units.store(vector, start, numbers)

    over_units(builder, count, one_vector)


def decode_cell(
    units: Units, sums: Sequence[Any], cell: Any, outs: Sequence[Any], numbers: Numbers
) -> None:
    """Generates a step of the cell in decoding.

    Args:
        units: those of the vector.
        sums: of the gates i, f, o, g; the first three are halved.
        cell: address of the first unit's cell, which is updated.
        outs: addresses of its hidden state, which is written.
        numbers: of the hidden state.
    """
    i, f, o, g = sums
    gates = squash_gates(units.vectors, [i, f, g, o], are_halved=True)
    after, hidden = advance_cell(units.vectors, gates, units.load(cell))
    units.store(after, cell)
    for out in outs:
        units.store(hidden, out, numbers)


def _generate_decoding(builder: Any, *arguments: Any, numbers: Numbers) -> None:
    """Generates `step_units`.

    The gates are i, f, o, g, and the sums of the first three are halved as in ``LayerWeights``.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's product of the
            first gate, and bias of that gate or input table's row, each with the distance in bytes
            from one gate to the next; of its cell, which is updated; of its hidden state for the
            layer's next step, and for the layer above or the head. Both are written.
        numbers: of the hidden states.
    """
    count, sums, sums_gate, bias, bias_gate, cell, *outs = arguments

    def one_vector(units: Units) -> None:
        pairs = zip(units.gates(sums, sums_gate), units.gates(bias, bias_gate), strict=True)
        totals = [builder.fadd(units.load(start), units.load(other)) for start, other in pairs]
        decode_cell(units, totals, cell, outs, numbers)

    over_units(builder, count, one_vector)


def generated(generate: Callable[..., None]) -> Callable[[Array, tuple[int, ...]], None]:
    """Returns a function for compiled code that runs generated code.

    It takes an array, of which only the dtype matters, and the integers.
    """
    steps = {
        dtype: address_intrinsic(partial(generate, numbers=numbers))
        for dtype, numbers in _NUMBERS.items()
    }

    def run(like: Array, arguments: tuple[int, ...]) -> None:
        raise NotImplementedError

    @overload(run)
    def typed(like: Any, arguments: Any) -> Any:  # noqa: ARG001
        step = steps[like.dtype]

        def stepped(like: Any, arguments: Any) -> None:  # noqa: ARG001
            step(arguments)

        return stepped

    return run


_FORWARD: Final = {
    dtype: generated(partial(_generate_forward, inputs=inputs))
    for dtype, inputs in _NUMBERS.items()
}


def _forward(inputs: Array, numbers: Array, arguments: tuple[int, ...]) -> None:
    """Runs `_generate_forward`; of the arrays only the dtypes matter."""
    raise NotImplementedError


@overload(_forward)
def _typed_forward(inputs: Any, numbers: Any, arguments: Any) -> Any:  # noqa: ARG001
    step = _FORWARD[inputs.dtype]

    def stepped(inputs: Any, numbers: Any, arguments: Any) -> None:  # noqa: ARG001
        step(numbers, arguments)

    return stepped


_backward = generated(_generate_backward)
step_units = generated(_generate_decoding)
"""Steps U units of one stream in decoding; see `_generate_decoding`."""
