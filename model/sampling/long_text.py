"""One text, decoded by NumPy at first and then by compiled code. NumPy.

Loading Numba and compiled kernels takes half a second, in which NumPy writes thousands of
characters. The change comes at a fixed character, the same as in
``model.sampling.parallel_streams``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.kernels.splitmix import BLOCK
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.distribution import is_plain
from model.sampling.parallel_streams import NUMPY_CHARACTERS
from model.sampling.stream import CharacterStream
from model.system.compiled_code import made_or_none

CHARACTERS_PER_READ = 16
"""Most characters that NumPy writes in one call; compiled code writes up to a block."""

if TYPE_CHECKING:
    from model.sampling.compiled_lstm import CompiledDecoder


Ids = npt.NDArray[np.int64]


class BlockWriter(Protocol):
    """Writes a text, some characters a call."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters of the ids."""

    def write(self, most: int) -> tuple[npt.NDArray[Any], FloatArray]:
        """Writes 1 to ``most`` characters; returns ids and probabilities, each [N]."""


class LongText:
    """One text; `close` ends the threads that it starts."""

    def __init__(
        self, stream: CharacterStream, *, numpy_characters: int = NUMPY_CHARACTERS
    ) -> None:
        """Takes over a stream that has written nothing yet.

        Args:
            stream: writes the whole text if it has a window or truncates the distribution, or if
                nothing can be compiled.
            numpy_characters: characters that the stream writes first; a multiple of ``BLOCK``.
        """
        self._stream = stream
        self._numpy_left = numpy_characters
        self._compiles = (
            stream.window is None
            and is_plain(stream.sampling)  # each truncated character would be a call of its own
            and isinstance(stream.snapshot, LstmSnapshot)
        )
        self._decoder: CompiledDecoder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters of the ids."""
        return self._stream.vocabulary

    def write(self, most: int) -> tuple[Ids, FloatArray]:
        """Writes 1 to ``most`` characters; returns ids and probabilities, each [N]."""
        if self._numpy_left or not self._compiles:
            most = min(most, CHARACTERS_PER_READ, self._numpy_left or most)
            self._numpy_left = max(0, self._numpy_left - most)
            ids, probabilities = zip(*(self._stream.write() for _ in range(most)), strict=True)
            return np.array(ids, np.int64), np.array(probabilities, np.float32)
        if self._decoder is None:
            self._decoder = made_or_none(lambda: _decoder_for(self._stream))
        if self._decoder is None:
            self._compiles = False
            return self.write(most)
        columns = self._decoder.write(min(most, BLOCK))
        return columns[0][:, 0], columns[1][:, 0]

    def close(self) -> None:
        """Ends the threads."""
        if self._decoder is not None:
            self._decoder.close()


def _decoder_for(stream: CharacterStream) -> CompiledDecoder:
    """Returns a decoder in the precision of the training, if this processor has it."""
    from model.sampling.compiled_lstm import CompiledDecoder  # noqa: PLC0415 - Numba: see above

    assert isinstance(stream.snapshot, LstmSnapshot)
    return CompiledDecoder(stream.snapshot, stream.state(), stream.sampling)
