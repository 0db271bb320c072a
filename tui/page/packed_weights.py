"""Packs the weights of an LSTM into 16 bits each, for the script of the page. NumPy.

Each row of a matrix has a scale, and its weights are whole multiples of it. The largest weight of a
row is a few times the usual one, so the error is a quarter of that of float16.
Letters: V vocabulary, E embedding, H hidden. R, C rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

Weights = Mapping[str, npt.NDArray[np.float32]]

MAX_INTEGER: Final = 32_767


def packed(weights: Weights) -> bytes:
    """Returns the matrices in the order in which the script of the page reads them.

    That is the embedding [V, E] if there is one; for each layer the input matrix [4H, E or V or H],
    the recurrent matrix [4H, H], the sum of both biases [1, 4H], and the gain [4, H] of normalised
    gates; the head [V, H] and its bias [1, V]. All numbers are little-endian.

    Args:
        weights: of an LSTM, under the names of ``torch.nn``'s state dict, finite.
    """
    return b"".join(map(_packed_matrix, _matrices(weights)))


def _matrices(weights: Weights) -> Iterator[npt.NDArray[np.float32]]:
    if "embedding.weight" in weights:
        yield weights["embedding.weight"]
    layer = 0
    while f"lstm.weight_hh_l{layer}" in weights:
        yield weights[f"lstm.weight_ih_l{layer}"]
        yield weights[f"lstm.weight_hh_l{layer}"]
        yield (weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"])[None]
        if f"lstm.gain_l{layer}" in weights:
            yield weights[f"lstm.gain_l{layer}"]
        layer += 1
    yield weights["head.weight"]
    yield weights["head.bias"][None]


def _packed_matrix(matrix: npt.NDArray[np.float32]) -> bytes:
    """Returns the scales [R] in float32, then the multiples [R, C] in int16."""
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    # A row of zeros, or of numbers too small for a scale, becomes zeros.
    scales = np.maximum(largest / MAX_INTEGER, np.finfo(np.float32).tiny).astype("<f4")
    integers = np.rint(matrix / scales).astype("<i2")
    return bytes(scales.tobytes() + integers.tobytes())
