"""The cell of an LSTM with normalised gates, without its products. Numba, LLVM.

Before the bias is added, the sums of all gates of a stream are divided by their root mean square,
and multiplied by a gain (RMSNorm, Zhang & Sennrich 2019): ``z = gain * s / rms(s) + bias``, where
``rms(s) = sqrt(mean(s^2) + epsilon)`` over 4H sums. The threads of a layer write the squares of
their units, meet at a barrier, and add them up. On the way back they do the same with
``mean(dz * gain * n)``, where ``n = s / rms(s)``: ``ds = (dz * gain - n * mean) / rms``.
Letters: T time, B batch, S streams, H hidden, U hidden units of a thread. Gates are in the order
of ``nn.LSTM``, i, f, g, o, except in decoding.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from model.kernels.dtypes import WORD_BYTES, Array, Numbers
from model.kernels.ir import FLOAT, broadcast, integer, pointer
from model.kernels.jit import inline
from model.kernels.lstm_cell import (
    Units,
    advance_cell,
    cell_gradients,
    decode_cell,
    generated,
    over_units,
    place,
    squash_gates,
)


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


@inline
def add_up(row: Array) -> Any:
    """Returns the sum of float32 [H]; it does not depend on how threads share the units."""
    total = np.float32(0)
    for j in range(len(row)):
        total += row[j]
    return total


@inline
def inverse_rms(squares: Array, epsilon: Any) -> Any:
    """Returns 1 / rms of a stream, from the squares of each unit, float32 [H]."""
    mean = add_up(squares) / np.float32(4 * len(squares))
    return np.float32(1) / np.float32(math.sqrt(mean + epsilon))


@inline
def add_inputs(  # noqa: PLR0917 - compiled code takes them by position
    norm: Norm,
    input_gates: Array,
    ids: Array,
    recurrent_gates: Array,
    t: int,
    first: int,
    count: int,
) -> None:
    """Adds what the inputs give to the sums of U units, and writes the squares to ``shared``.

    The arguments are those of `lstm_cell.step_forward`; ``recurrent_gates`` becomes the sums.
    """
    width = norm.shared.shape[1]
    for b in range(len(norm.shared)):
        complete_sums(
            input_gates,
            (
                count,
                place(recurrent_gates, b, 0),
                count * WORD_BYTES,
                place(input_gates, ids[t, b], first),
                width * input_gates.itemsize,
                place(norm.shared, b, first),
            ),
        )


@inline
def normalised_forward(  # noqa: PLR0917
    norm: Norm,
    rank: int,
    sums: Array,
    normalised: Array,
    cells: Array,
    hiddens: Array,
    t: int,
    first: int,
    count: int,
) -> None:
    """Makes time step t of U units, when all threads have written their squares.

    The other arguments are those of `lstm_cell.step_forward`.

    Args:
        norm: of the layer.
        rank: of the calling thread.
        sums: float32 [B, 4U or more], from `add_inputs`.
        normalised: float32 or bfloat16 [T, B, 4H or more], the sums over their root mean square;
            written at t.
        cells: float32 [T + 1, B, H].
        hiddens: like ``normalised``, [T + 1, B, H or more].
        t: the time step.
        first: first of the units.
        count: U.
    """
    width, scales = cells.shape[2], norm.scales[rank, t]
    before, after, now, hidden = cells[t], cells[t + 1], normalised[t], hiddens[t + 1]
    for b in range(cells.shape[1]):
        scales[b, 0] = inverse_rms(norm.shared[b], norm.epsilon)
        _forward(
            normalised,
            (
                count,
                place(sums, b, 0),
                count * WORD_BYTES,
                place(scales, b, 0),
                norm.gain.ctypes.data + first * WORD_BYTES,
                norm.bias.ctypes.data + first * WORD_BYTES,
                width * WORD_BYTES,
                place(before, b, first),
                place(after, b, first),
                place(now, b, first),
                width * normalised.itemsize,
                place(hidden, b, first),
            ),
        )


@inline
def normalised_backward(  # noqa: PLR0917
    norm: Norm,
    normalised: Array,
    cells: Array,
    d_outputs: Array,
    d_recurrent: Array,
    d_cell: Array,
    d_normalised: Array,
    t: int,
    first: int,
    count: int,
) -> None:
    """Goes back through time step t of U units, up to the normalised sums.

    It adds to the gradients of gain and bias, and writes those of the normalised sums,
    ``d_normalised``, float32 [B, 4U], and the units' parts of the mean gradient, ``shared``.
    The other arguments are those of `lstm_cell.step_backward`.
    """
    width, start = cells.shape[2], first * WORD_BYTES
    before, after, now, d_output = cells[t], cells[t + 1], normalised[t], d_outputs[t]
    for b in range(cells.shape[1]):
        _backward(
            normalised,
            (
                count,
                place(now, b, first),
                width * normalised.itemsize,
                norm.gain.ctypes.data + start,
                norm.bias.ctypes.data + start,
                width * WORD_BYTES,
                norm.d_gain.ctypes.data + start,
                norm.d_bias.ctypes.data + start,
                place(before, b, first),
                place(after, b, first),
                place(d_output, b, first),
                place(d_recurrent, b, 0),
                place(d_cell, b, first),
                place(d_normalised, b, 0),
                count * WORD_BYTES,
                place(norm.shared, b, first),
            ),
        )


@inline
def sums_backward(  # noqa: PLR0917
    norm: Norm,
    rank: int,
    normalised: Array,
    d_normalised: Array,
    t: int,
    first: int,
    count: int,
) -> None:
    """Goes back through the normalisation of U units, when all threads have written their parts.

    At t, ``normalised`` becomes the gradient of the sums. The other arguments are those of
    `normalised_backward`.
    """
    width, scales, now = norm.shared.shape[1], norm.scales[rank, t], normalised[t]
    for b in range(len(norm.shared)):
        mean = add_up(norm.shared[b]) / np.float32(4 * width)
        scales[b, 1] = scales[b, 0] * mean
        _sums_backward(
            normalised,
            (
                count,
                place(d_normalised, b, 0),
                count * WORD_BYTES,
                place(now, b, first),
                width * normalised.itemsize,
                place(scales, b, 0),
            ),
        )


def _everywhere(units: Units, address: Any) -> Any:
    """Loads a float32 of the stream into all lanes."""
    builder, kind = units.vectors.builder, units.vectors.kind
    return broadcast(builder, builder.load(pointer(builder, address, FLOAT)), kind)


def _generate_sums(builder: Any, *arguments: Any, numbers: Numbers) -> None:
    """Generates `complete_sums`.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's sum, and input
            gate, each with the distance in bytes from one gate to the next; of its squares.
        numbers: of the input gates.
    """
    count, sums, sums_gate, inputs, inputs_gate, squares = arguments

    def one_vector(units: Units) -> None:
        total = units.vectors.all(0)
        for start, added in zip(
            units.gates(sums, sums_gate), units.gates(inputs, inputs_gate), strict=True
        ):
            both = builder.fadd(units.load(start), units.load(added, numbers))
            units.store(both, start)
            total = units.vectors.multiply_add(both, both, total)
        units.store(total, squares)

    over_units(builder, count, one_vector)


def _generate_forward(builder: Any, *arguments: Any, numbers: Numbers) -> None:
    """Generates `normalised_forward` of one stream.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's sum, with the
            distance in bytes from one gate to the next; of the scale; of its gain and bias, with a
            distance; of its cell before and after; of its normalised sum, with a distance; of its
            hidden state.
        numbers: of normalised sums and hidden state.
    """
    count, sums, sums_gate, scale, *weights = arguments[:7]
    before, after, normalised, normalised_gate, hidden = arguments[7:]

    def one_vector(units: Units) -> None:
        factor, totals = _everywhere(units, scale), []
        of_gates = zip(
            units.gates(sums, sums_gate),
            units.gates(normalised, normalised_gate),
            *_gains_and_biases(units, *weights),
            strict=True,
        )
        for sum_at, normalised_at, gain, bias in of_gates:
            number = builder.fmul(units.load(sum_at), factor)
            units.store(number, normalised_at, numbers)
            totals.append(units.vectors.multiply_add(number, gain, bias))
        gates = squash_gates(units.vectors, totals)
        cell, output = advance_cell(units.vectors, gates, units.load(before))
        units.store(cell, after)
        units.store(output, hidden, numbers)

    over_units(builder, count, one_vector)


def _generate_backward(builder: Any, *arguments: Any, numbers: Numbers) -> None:
    """Generates `normalised_backward` of one stream.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's normalised sum,
            with the distance in bytes from one gate to the next; of its gain and bias, with a
            distance; of their gradients; of its cell before and after, and of the gradients of
            output, hidden state and cell; of the gradient of the normalised sum, with a distance;
            of the unit's part of the mean gradient.
        numbers: of the normalised sums.
    """
    count, normalised, normalised_gate, gain, bias, weights_gate, d_gain, d_bias = arguments[:8]
    before, after, d_output, d_recurrent, d_cell = arguments[8:13]
    d_normalised, d_normalised_gate, parts = arguments[13:]

    def one_vector(units: Units) -> None:
        add, multiply_add = builder.fadd, units.vectors.multiply_add
        starts = units.gates(normalised, normalised_gate)
        sums = [units.load(start, numbers) for start in starts]
        gains, biases = _gains_and_biases(units, gain, bias, weights_gate)
        totals = [multiply_add(*three) for three in zip(sums, gains, biases, strict=True)]
        gates = squash_gates(units.vectors, totals)
        d_hidden = add(units.load(d_output), units.load(d_recurrent))
        cells = units.load(before), units.load(after), units.load(d_cell)
        d_before, d_gates = cell_gradients(units.vectors, gates, cells, d_hidden)
        units.store(d_before, d_cell)
        total = units.vectors.all(0)
        gain_starts = units.gates(d_gain, weights_gate)
        bias_starts = units.gates(d_bias, weights_gate)
        outs = units.gates(d_normalised, d_normalised_gate)
        for gate, d_gate in enumerate(d_gates):
            gain_at, bias_at = gain_starts[gate], bias_starts[gate]
            units.store(multiply_add(d_gate, sums[gate], units.load(gain_at)), gain_at)
            units.store(add(units.load(bias_at), d_gate), bias_at)
            d_number = builder.fmul(d_gate, gains[gate])
            units.store(d_number, outs[gate])
            total = multiply_add(d_number, sums[gate], total)
        units.store(total, parts)

    over_units(builder, count, one_vector)


def _generate_sums_backward(builder: Any, *arguments: Any, numbers: Numbers) -> None:
    """Generates `sums_backward` of one stream.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the gradient of the first unit's
            normalised sum, and of that sum, each with a distance; of the stream's two scales.
        numbers: of the normalised sums, which become gradients.
    """
    count, d_normalised, d_normalised_gate, normalised, normalised_gate, scales = arguments

    def one_vector(units: Units) -> None:
        scale = _everywhere(units, scales)
        mean = builder.fneg(_everywhere(units, builder.add(scales, integer(WORD_BYTES))))
        for start, own in zip(
            units.gates(d_normalised, d_normalised_gate),
            units.gates(normalised, normalised_gate),
            strict=True,
        ):
            kept = builder.fmul(units.load(own, numbers), mean)
            units.store(units.vectors.multiply_add(units.load(start), scale, kept), own, numbers)

    over_units(builder, count, one_vector)


def _generate_decoding(builder: Any, *arguments: Any, numbers: Numbers) -> None:
    """Generates `step_normalised_units`.

    The gates are i, f, o, g; gain and bias of the first three are halved as in ``LayerWeights``.

    Args:
        builder: of LLVM code.
        arguments: int64. The number of units; then addresses of the first unit's sum, with the
            distance in bytes from one gate to the next; of the scale; of its gain and bias, with a
            distance; of its cell, which is updated; of its hidden state for the layer's next step,
            and for the layer above or the head. Both are written.
        numbers: of the hidden states.
    """
    count, sums, sums_gate, scale, gain, bias, weights_gate, cell, *outs = arguments

    def one_vector(units: Units) -> None:
        factor = _everywhere(units, scale)
        weights = _gains_and_biases(units, gain, bias, weights_gate)
        totals = [
            units.vectors.multiply_add(builder.fmul(units.load(start), factor), *parts)
            for start, *parts in zip(units.gates(sums, sums_gate), *weights, strict=True)
        ]
        decode_cell(units, totals, cell, outs, numbers)

    over_units(builder, count, one_vector)


def _gains_and_biases(units: Units, gain: Any, bias: Any, distance: Any) -> list[list[Any]]:
    """Loads the gains of the four gates, and their biases."""
    return [[units.load(at) for at in units.gates(start, distance)] for start in (gain, bias)]


complete_sums = generated(_generate_sums)
"""Adds inputs to the sums of U units, and writes their squares; see `_generate_sums`."""
_forward = generated(_generate_forward)
_backward = generated(_generate_backward)
_sums_backward = generated(_generate_sums_backward)
step_normalised_units = generated(_generate_decoding)
"""Steps U units of one stream in decoding; see `_generate_decoding`."""
