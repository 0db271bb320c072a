"""Gumbel noise for drawing characters, drawn in blocks ahead. NumPy.

One row per character of a text. The generator is counter-based (Philox, Salmon et al. 2011), so
the row of any character can be had without those before it: a text can be taken up at any place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK = 256
"""Rows drawn at once."""
SHORTEST_WAIT = np.finfo(np.float32).tiny
"""In place of 0, whose logarithm is not finite. The least normal number: a thread that flushes
denormals takes smaller ones for 0."""


class GumbelNoise:
    """Rows of independent standard Gumbel numbers, the same ones for the same seed."""

    def __init__(self, seed: int, width: int) -> None:
        """Draws nothing yet.

        Args:
            seed: below 2**64.
            width: V, numbers in a row.
        """
        self._random = np.random.Generator(np.random.Philox(key=np.array([seed, 0], np.uint64)))
        self._start = self._random.bit_generator.state
        self._width = width
        self._number = -1
        self._block: npt.NDArray[np.float32] = np.empty((0, width), np.float32)

    def row(self, index: int) -> npt.NDArray[np.float32]:
        """Returns the noise [V] of a text's character number ``index``; do not change it."""
        number, place = divmod(index, BLOCK)
        if number != self._number:
            self._block = self.block(number)
            self._number = number
        row: npt.NDArray[np.float32] = self._block[place]
        return row

    def block(self, number: int) -> npt.NDArray[np.float32]:
        """Returns rows ``number * BLOCK`` and those after it, [BLOCK, V].

        ``-log(x)`` of a standard exponential x is a standard Gumbel number.
        """
        # A generator that is set anew costs a tenth of a new one.
        self._start["state"]["counter"] = np.array([0, number, 0, 0], np.uint64)
        self._random.bit_generator.state = self._start
        waits: npt.NDArray[np.float32] = self._random.standard_exponential(
            (BLOCK, self._width), np.float32
        )
        np.maximum(waits, SHORTEST_WAIT, out=waits)
        np.log(waits, out=waits)
        np.negative(waits, out=waits)
        return waits
