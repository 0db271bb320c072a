"""One text, written as fast as it can be: by NumPy at first, then by compiled code. NumPy.

Numba, and what it compiled before, take half a second to load, in which NumPy writes thousands of
characters. So a text begins with NumPy and goes on compiled, and always from the same character on:
the two round differently, and the text of a seed must not depend on how long it is to become.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.kernels.splitmix import BLOCK
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.compiled_text import Ids, WritingTeam
from model.sampling.distribution import is_plain
from model.sampling.stream import CharacterStream
from model.system.compiled_code import made_or_none

BY_NUMPY = 16 * BLOCK
"""Characters that are written before anything is loaded."""
AT_ONCE = 16
"""Characters between two looks of who shows them, by NumPy; compiled code writes a block."""

if TYPE_CHECKING:
    from model.sampling.compiled_lstm import StreamTeam


class BlockWriter(Protocol):
    """What writes a text some characters at a time."""

    @property
    def vocabulary(self) -> Vocabulary:
        """What the ids mean."""

    def write(self, most: int) -> tuple[npt.NDArray[Any], FloatArray]:
        """Writes some characters, at least one; returns their ids and own probabilities."""


class LongText:
    """One text; the threads that it starts end with it."""

    def __init__(self, stream: CharacterStream, *, by_numpy: int = BY_NUMPY) -> None:
        """Goes on with a stream that has written nothing yet.

        Args:
            stream: it writes all of the text where it has a window, or cuts of the distribution,
                or where nothing can be compiled.
            by_numpy: characters that it writes in any case; a multiple of ``BLOCK``.
        """
        self._stream = stream
        self._left = by_numpy
        self._compiles = (
            stream.window is None
            and is_plain(stream.sampling)
            and isinstance(stream.snapshot, LstmSnapshot)
        )
        self._team: WritingTeam | StreamTeam | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def vocabulary(self) -> Vocabulary:
        """What the ids mean."""
        return self._stream.vocabulary

    def write(self, most: int) -> tuple[Ids, FloatArray]:
        """Writes up to so many characters, at least one; returns ids and own probabilities."""
        if self._left or not self._compiles:
            most = min(most, AT_ONCE, self._left or most)
            self._left = max(0, self._left - most)
            ids, own = zip(*(self._stream.write() for _ in range(most)), strict=True)
            return np.array(ids, np.int64), np.array(own, np.float32)
        if self._team is None:
            self._team = made_or_none(lambda: _team_for(self._stream))
        if self._team is None:
            self._compiles = False
            return self.write(most)
        if isinstance(self._team, WritingTeam):
            return self._team.write(most)
        symbols, probabilities = self._team.write(min(most, BLOCK))
        return symbols[:, 0], probabilities[:, 0]

    def close(self) -> None:
        """Ends the threads."""
        if self._team is not None:
            self._team.close()


def _team_for(stream: CharacterStream) -> WritingTeam | StreamTeam:
    """Returns what goes on with a text: as the network was trained, if this processor can."""
    from model.sampling.compiled_lstm import writes_in_bfloat16  # noqa: PLC0415 - Numba: see above

    snapshot, state, temperature = stream.snapshot, stream.state(), stream.sampling.temperature
    assert isinstance(snapshot, LstmSnapshot)
    if not writes_in_bfloat16(snapshot):
        return WritingTeam(snapshot, state, temperature)
    from model.sampling.compiled_lstm import StreamTeam  # noqa: PLC0415 - more of it

    return StreamTeam(snapshot, state, temperature)
