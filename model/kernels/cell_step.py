"""Steps of an LSTM layer without its products: forward, backward, decoding. Numba, LLVM.

Each is one pass over memory, in generated code. PyTorch's own operations take some thirty passes,
each behind a turn at the interpreter.

Of normalised gates the sums of a stream are divided by their root mean square, and multiplied by a
gain, before the bias is added (RMSNorm, Zhang & Sennrich 2019): ``z = gain * s / rms(s) + bias``,
where ``rms(s) = sqrt(mean(s^2) + epsilon)`` over 4H sums. The threads of a layer write the squares
of their units, meet at a barrier, and add them up. On the way back they do the same with
``mean(dz * gain * n)``, where ``n = s / rms(s)``: ``ds = (dz * gain - n * mean) / rms``.

Letters: T time, B batch, S streams, L layers, V vocabulary, H hidden, U hidden units of a thread.
Gates are in the order of ``nn.LSTM``, i, f, g, o, except in decoding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from model.kernels.dtypes import Array
from model.kernels.ir import View, for_range, generated, integer
from model.kernels.jit import inline
from model.kernels.lstm_cell import advance_cell, cell_gradients, squash_gates
from model.kernels.vecmath import Units, over_units, total_of


class Norm(NamedTuple):
    """What a layer with normalised gates has besides an LSTM's, in training."""

    gain: Array
    """float32 [4H]."""
    bias: Array
    """float32 [4H]."""
    epsilon: Any
    """float32."""
    scales: Array
    """float32 [ranks, T, B, 2]: 1 / rms of each stream, and, on the way back, its product with the
    mean gradient; written."""
    shared: Array
    """float32 [B, H], of all units, for what they add up; scratch."""
    d_gain: Array
    """float32 [4H]; added to on the way back."""
    d_bias: Array
    """float32 [4H]; added to on the way back."""


class DecodingNorm(NamedTuple):
    """What layers with normalised gates have besides those of an LSTM, in decoding."""

    gains: Array
    """float32 [L, 4H], halved like the biases."""
    biases: Array
    """float32 [L, 4H]."""
    epsilon: Any
    """float32."""
    scales: Array
    """float32 [ranks, S], 1 / rms of each stream; scratch."""
    shared: Array
    """float32 [S, H], the squares of all units; scratch."""


def _sums(units: Units, numbers: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Generates the sums of the four gates' numbers."""
    return [units.vectors.builder.fadd(*both) for both in zip(numbers, others, strict=True)]


def _weighted(
    units: Units, numbers: Sequence[Any], gain: View, bias: View, distance: Any
) -> list[Any]:
    """Generates ``gain * number + bias`` of the four gates."""
    weights = units.load_gates(gain, distance), units.load_gates(bias, distance)
    return [units.vectors.multiply_add(*three) for three in zip(numbers, *weights, strict=True)]


def generate_forward(
    builder: Any,
    input_gates: View,
    ids: View,
    bias: View,
    recurrent_gates: View,
    gates: View,
    cells: View,
    hiddens: View,
    norm: Any,
    rank: Any,
    t: Any,
    first: Any,
    count: Any,
) -> None:
    """Generates time step t of U units, after the product with the recurrent matrix.

    Args:
        builder: of LLVM code.
        input_gates: float32 or bfloat16 [N, 4H or more], what the layer's inputs add to the gates.
        ids: int64 [T, B], rows of ``input_gates``.
        bias: float32 [4H].
        recurrent_gates: float32 [B, 4U or more], what the hidden state adds to the gates of the
            units; with a norm the sums, from `complete_sums`.
        gates: float32 or bfloat16 [T, B, 4H or more], the gates after their nonlinearities, or with
            a norm the sums over their root mean square; written at t.
        cells: float32 [T + 1, B, H], read at t, written at t + 1.
        hiddens: like ``gates``, [T + 1, B, H or more], the hidden state; written at t + 1.
        norm: `Norm` of normalised gates, with the scales of step t; None for others.
        rank: of the calling thread.
        t: the time step.
        first: first of the units.
        count: U.
    """
    (_, batch, width), after, own_bias = cells.shape, builder.add(t, integer(1)), bias.at(first)
    with for_range(builder, batch) as stream:
        b = stream.index
        inputs = input_gates.at(ids.at(t, b).load(), first)
        sums, kept = recurrent_gates.at(b), gates.at(t, b, first)
        hidden = hiddens.at(after, b, first)
        before, following = cells.at(t, b, first), cells.at(after, b, first)
        scale = None if norm is None else norm.scales.at(rank, t, b).load()

        def one_vector(units: Units) -> None:
            numbers = units.load_gates(sums, count)
            if norm is None:
                others = units.load_gates(inputs, width), units.load_gates(own_bias, width)
                totals = _sums(units, _sums(units, *others), numbers)
            else:
                factor = units.vectors.splat(scale)
                numbers = [builder.fmul(number, factor) for number in numbers]
                totals = _weighted(units, numbers, norm.gain.at(first), own_bias, width)
            squashed = squash_gates(units.vectors, totals)
            units.store_gates(squashed if norm is None else numbers, kept, width)
            units.store(advance_cell(units, squashed, before, following), hidden)

        over_units(builder, count, one_vector)


def generate_backward(
    builder: Any,
    gates: View,
    cells: View,
    d_outputs: View,
    d_recurrent: View,
    d_cell: View,
    d_normalised: View,
    norm: Any,
    t: Any,
    first: Any,
    count: Any,
) -> None:
    """Generates the way back through time step t of U units, after the product with the matrix.

    With a norm it ends at the normalised sums, and the units' parts of the mean gradient become
    ``norm.shared``.

    Args:
        builder: of LLVM code.
        gates: float32 or bfloat16 [T, B, 4H or more], from the way forwards; without a norm it
            becomes the gradient of the sums that go into the gates at t.
        cells: float32 [T + 1, B, H].
        d_outputs: float32 [T, B, H or more], gradient of the outputs from what reads the layer.
        d_recurrent: float32 [B, U or more], gradient of the hidden state at t from step t + 1.
        d_cell: float32 [B, H], gradient of the cell state at t + 1; becomes that at t.
        d_normalised: float32 [B, 4U], gradient of the normalised sums; written with a norm.
        norm: `Norm` of normalised gates, whose gradients are added to; None for others.
        t: the time step.
        first: first of the units.
        count: U.
    """
    (_, batch, width), after = cells.shape, builder.add(t, integer(1))
    with for_range(builder, batch) as stream:
        b = stream.index
        kept, own_cell, d_sums = gates.at(t, b, first), d_cell.at(b, first), d_normalised.at(b)
        states = cells.at(t, b, first), cells.at(after, b, first), own_cell
        outputs, recurrent = d_outputs.at(t, b, first), d_recurrent.at(b)

        def one_vector(units: Units) -> None:
            numbers = squashed = units.load_gates(kept, width)
            if norm is not None:
                weights = norm.gain.at(first), norm.bias.at(first)
                squashed = squash_gates(units.vectors, _weighted(units, numbers, *weights, width))
            d_hidden = builder.fadd(units.load(outputs), units.load(recurrent))
            own = [units.load(state) for state in states]
            d_before, d_gates = cell_gradients(units.vectors, squashed, own, d_hidden)
            units.store(d_before, own_cell)
            if norm is None:
                units.store_gates(d_gates, kept, width)
                return
            d_numbers, part = _add_weight_gradients(units, norm, first, d_gates, numbers)
            units.store_gates(d_numbers, d_sums, count)
            units.store(part, norm.shared.at(b, first))

        over_units(builder, count, one_vector)


def _add_weight_gradients(
    units: Units, norm: Any, first: Any, d_gates: Sequence[Any], numbers: Sequence[Any]
) -> tuple[list[Any], Any]:
    """Generates the gradients of gains, biases and normalised sums.

    Returns:
        The latter, and the units' part of their mean.
    """
    builder, multiply_add = units.vectors.builder, units.vectors.multiply_add
    width, total, d_numbers = norm.shared.shape[1], units.vectors.all(0), []
    # One gate after the other: what all four need at once would not fit in sixteen registers.
    for gate, (d_gate, number) in enumerate(zip(d_gates, numbers, strict=True)):
        gain, d_gain, d_bias = (
            weights.at(first).after(width, gate)
            for weights in (norm.gain, norm.d_gain, norm.d_bias)
        )
        units.store(multiply_add(d_gate, number, units.load(d_gain)), d_gain)
        units.store(builder.fadd(units.load(d_bias), d_gate), d_bias)
        d_numbers.append(builder.fmul(d_gate, units.load(gain)))
        total = multiply_add(d_numbers[-1], number, total)
    return d_numbers, total


def generate_sums(
    builder: Any,
    sums: View,
    start: Any,
    line: Any,
    count: Any,
    added: View,
    rows: View,
    first: Any,
    shared: View,
) -> None:
    """Generates the addition of inputs to the sums of U units, and the units' squares.

    Args:
        builder: of LLVM code.
        sums: float32, flat, what the product gives; updated.
        start: of the sums of the first stream.
        line: distance from one stream's sums to the next.
        count: U.
        added: float32 or bfloat16 [N, 4H or more], what the inputs add.
        rows: int64 [S], rows of ``added``.
        first: first of the units.
        shared: float32 [S, H]; the units' squares are written.
    """
    streams, width = shared.shape
    with for_range(builder, streams) as stream:
        own = sums.after(start).rows(line).at(stream.index)
        inputs = added.at(rows.at(stream.index).load(), first)
        squares = shared.at(stream.index, first)

        def one_vector(units: Units) -> None:
            totals = _sums(units, units.load_gates(own, count), units.load_gates(inputs, width))
            units.store_gates(totals, own, count)
            square = units.vectors.all(0)
            for total in totals:
                square = units.vectors.multiply_add(total, total, square)
            units.store(square, squares)

        over_units(builder, count, one_vector)


def generate_sums_backward(
    builder: Any,
    normalised: View,
    d_normalised: View,
    norm: Any,
    rank: Any,
    t: Any,
    first: Any,
    count: Any,
) -> None:
    """Generates the way back through the normalisation of U units, with both scales of step t.

    At t, ``normalised`` becomes the gradient of the sums. The arguments are those of
    `generate_backward`, where it is ``gates``.
    """
    batch, width = norm.shared.shape
    with for_range(builder, batch) as stream:
        b = stream.index
        kept, scales = normalised.at(t, b, first), norm.scales.at(rank, t, b)
        scale, mean = scales.load(), builder.fneg(scales.after(integer(1)).load())

        def one_vector(units: Units) -> None:
            numbers = units.load_gates(kept, width)
            gradients = units.load_gates(d_normalised.at(b), count)
            factor, part = units.vectors.splat(scale), units.vectors.splat(mean)
            d_sums = [
                units.vectors.multiply_add(gradient, factor, builder.fmul(number, part))
                for gradient, number in zip(gradients, numbers, strict=True)
            ]
            units.store_gates(d_sums, kept, width)

        over_units(builder, count, one_vector)


def generate_decoding(
    builder: Any,
    sums: View,
    start: Any,
    line: Any,
    count: Any,
    added: View,
    rows: View,
    first: Any,
    cell: View,
    layer: Any,
    operands: View,
    outs: Sequence[tuple[Any, Any, Any]],
    norm: Any,
    rank: Any,
) -> None:
    """Generates a step of U units of all streams in decoding.

    The gates are i, f, o, g; the sums of the first three, or their gains and biases, are halved as
    in ``LayerWeights``. The first arguments are those of `generate_sums`, which has made the sums
    if there is a norm; ``added`` is the table or the biases. The others:

    - cell: float32 [L, S, H], updated;
    - layer: index of the layer;
    - operands: float32 or bfloat16 [2, M], of products; the hidden state is written into them;
    - outs: for the layer's next step, and for the layer above or the head: which operands, the
      place of the first stream there, and the distance to the next;
    - norm: `DecodingNorm` of normalised gates, with the streams' scales; None for others;
    - rank: of the calling thread.
    """
    _, streams, width = cell.shape
    with for_range(builder, streams) as stream:
        s = stream.index
        own, own_cell = sums.after(start).rows(line).at(s), cell.at(layer, s, first)
        bias = added.at(rows.at(s).load(), first)
        hiddens = [
            operands.at(which, builder.add(place, first)).rows(distance).at(s)
            for which, place, distance in outs
        ]
        scale = None if norm is None else norm.scales.at(rank, s).load()

        def one_vector(units: Units) -> None:
            numbers = units.load_gates(own, count)
            if norm is None:
                totals = _sums(units, numbers, units.load_gates(bias, width))
            else:
                factor = units.vectors.splat(scale)
                weights = norm.gains.at(layer, first), norm.biases.at(layer, first)
                scaled = [builder.fmul(number, factor) for number in numbers]
                totals = _weighted(units, scaled, *weights, width)
            i, f, o, g = totals
            gates = squash_gates(units.vectors, [i, f, g, o], are_halved=True)
            output = advance_cell(units, gates, own_cell, own_cell)
            for hidden in hiddens:
                units.store(output, hidden)

        over_units(builder, count, one_vector)


step_forward = generated(generate_forward)
step_backward = generated(generate_backward)
complete_sums = generated(generate_sums)
_sums_backward = generated(generate_sums_backward)
step_decoding = generated(generate_decoding)


@inline
def find_scales(shared: Array, epsilon: Any, scales: Array) -> None:
    """Writes 1 / rms of each stream, when all threads have written their squares.

    Args:
        shared: float32 [S, H], the squares of all units.
        epsilon: float32.
        scales: float32 [S]; written.
    """
    for s in range(len(shared)):
        scales[s] = np.float32(1) / np.float32(math.sqrt(_mean(shared[s]) + epsilon))


@inline
def sums_backward(
    normalised: Array, d_normalised: Array, norm: Norm, rank: int, t: int, first: int, count: int
) -> None:
    """Does what `generate_sums_backward` says, when all threads have written their parts."""
    scales = norm.scales[rank, t]
    for b in range(len(norm.shared)):
        scales[b, 1] = scales[b, 0] * _mean(norm.shared[b])
    _sums_backward(normalised, d_normalised, norm, rank, t, first, count)


@inline
def _mean(row: Array) -> Any:
    """Returns a mean over 4H gates from sums of units, [H], however threads share the units."""
    return total_of(row) / np.float32(4 * len(row))
