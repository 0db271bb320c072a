"""Batches of a text's ids, with a position that can be saved and restored. NumPy, no torch.

`StreamBatches` divides the text into contiguous streams. Their state is carried from batch to
batch, and every position is scored. `WindowBatches` takes shuffled windows. Each starts from a
zero state, and only the character after it is scored.
Letters: T time, B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from corpus import CorpusError
from corpus.counted import counted
from corpus.files.json_values import whole
from model.config import TrainingConfig
from model.data.permutation import LazyPermutation

Ids = npt.NDArray[np.unsignedinteger[Any]]
MAX_SHUFFLED_WINDOWS = 1 << 24
"""Maximum windows whose order is stored (128 MB); the order of more is computed when needed."""
Permutation = npt.NDArray[np.int64] | LazyPermutation


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The characters of one step: their positions, and lazily their ids."""

    ids: Ids
    """Ids of the whole text."""
    starts: npt.NDArray[np.int64]
    """[B], position in ``ids`` of the first character of each stream or window."""
    sequence: int
    """T, number of characters of each stream or window."""
    last_only: bool
    """Whether only the last position is scored."""
    starts_epoch: bool
    """Whether carried state must be dropped before this batch."""

    @property
    def streams(self) -> int:
        """B, number of streams or windows in the batch."""
        return len(self.starts)

    @property
    def scored(self) -> int:
        """Number of scored characters."""
        return self.streams if self.last_only else self.streams * self.sequence

    @cached_property
    def inputs(self) -> npt.NDArray[np.int64]:
        """Input ids, [T, B] int64."""
        return self._block[:-1]

    @cached_property
    def targets(self) -> npt.NDArray[np.int64]:
        """Target ids, [T, B] int64; [B] if only the last position is scored."""
        return self._block[-1] if self.last_only else self._block[1:]

    @cached_property
    def _block(self) -> npt.NDArray[np.int64]:
        places = self.starts + np.arange(self.sequence + 1)[:, None]
        return np.asarray(self.ids[places], np.int64)


class Batches(Protocol):
    """An endless sequence of batches, epoch after epoch."""

    ids: Ids
    """Ids of the whole text."""
    steps_per_epoch: int
    batch: int
    """B, batch size; smaller than requested if the text is short."""
    epoch: int
    """Epoch of the last batch that ``next`` returned, counted from 1; 1 before the first batch."""

    @property
    def steps_left(self) -> int:
        """Batches of the epoch after the last returned one; 0 if that was its last."""
        ...

    def next(self) -> Batch:
        """Returns the next batch."""
        ...

    def position(self) -> dict[str, Any]:
        """Returns the current position as plain values for JSON."""
        ...

    def restore(self, position: Mapping[str, Any]) -> None:
        """Restores a saved position, so that ``next`` returns the batches that followed it.

        Raises:
            ValueError: the text has no such position; the batches are unchanged.
        """
        ...


def make_batches(ids: Ids, training: TrainingConfig, *, subject: str) -> Batches:
    """Returns the batches that the training settings define.

    Raises:
        CorpusError: the text is shorter than one sequence and its target.
    """
    if len(ids) < training.sequence + 1:
        shorter = " or a smaller --sequence" if training.sequence > 1 else ""
        raise CorpusError(
            subject,
            f"has {counted(len(ids), 'character')} to train on, and one sequence needs "
            f"{training.sequence + 1:,}",
            f"give a longer text{shorter}",
        )
    if training.scoring == "last":
        return WindowBatches(ids, training)
    return StreamBatches(ids, training)


class StreamBatches:
    """B contiguous streams, read T characters at a time, with a new random offset each epoch.

    The offset moves the borders of streams and sequences. Over many epochs every character thus
    comes in every position, including the characters that do not fill a last sequence.
    """

    def __init__(self, ids: Ids, training: TrainingConfig) -> None:
        self.ids = ids
        self._sequence = training.sequence
        self.batch = max(1, min(training.batch, (len(ids) - 1) // training.sequence))
        spare = (len(ids) - 1) // self.batch // training.sequence
        # Drop one sequence per stream if there are at least eight, so that the offset can vary.
        self.steps_per_epoch = spare - 1 if spare >= 8 else spare
        self._stride = self.steps_per_epoch * training.sequence
        self._largest_offset = len(ids) - 1 - self.batch * self._stride
        self._random = np.random.default_rng([training.seed, 1])
        self._offset = self._draw_offset()
        self.epoch = 1
        self._index = 0

    @property
    def steps_left(self) -> int:
        """Batches of the epoch after the last returned one."""
        return self.steps_per_epoch - self._index

    def next(self) -> Batch:
        """Returns the next batch; after the last batch of an epoch, starts the next epoch."""
        if not self.steps_left:
            self._offset = self._draw_offset()
            self.epoch += 1
            self._index = 0
        first = self._offset + self._index * self._sequence
        starts_epoch = self._index == 0
        self._index += 1
        return Batch(
            ids=self.ids,
            starts=first + self._stride * np.arange(self.batch),
            sequence=self._sequence,
            last_only=False,
            starts_epoch=starts_epoch,
        )

    def position(self) -> dict[str, Any]:
        """Returns epoch, offset, index and the state of the random generator."""
        return {
            "epoch": self.epoch,
            "offset": self._offset,
            "index": self._index,
            "random": self._random.bit_generator.state,
        }

    def restore(self, position: Mapping[str, Any]) -> None:
        """Restores ``position``, so that ``next`` returns the batches that followed it.

        Raises:
            ValueError: the text has no such position; the batches are unchanged.
        """
        if "offset" not in position:
            raise ValueError("batches is not whole")
        index = whole("batches.index", position["index"], 0, self.steps_per_epoch)
        offset = whole("batches.offset", position["offset"], 0, self._largest_offset)
        self._random.bit_generator.state = position["random"]
        self.epoch, self._offset, self._index = position["epoch"], offset, index

    def _draw_offset(self) -> int:
        return int(self._random.integers(self._largest_offset + 1))


class WindowBatches:
    """Windows of T characters at a fixed stride, shuffled each epoch.

    The target of a window is the character after it.
    """

    def __init__(self, ids: Ids, training: TrainingConfig) -> None:
        self.ids = ids
        self._sequence = training.sequence
        self._stride = training.window_stride
        self._windows = len(range(0, len(ids) - training.sequence, training.window_stride))
        self.batch = min(training.batch, self._windows)
        self.steps_per_epoch = -(-self._windows // self.batch)
        self._seed = training.seed
        self.epoch = 1
        self._index = 0
        self._order: Permutation = self._shuffled()

    @property
    def steps_left(self) -> int:
        """Batches of the epoch after the last returned one."""
        return self.steps_per_epoch - self._index

    def next(self) -> Batch:
        """Returns the next batch; the last batch of an epoch may be smaller, as in Keras."""
        if not self.steps_left:
            self.epoch += 1
            self._index = 0
            self._order = self._shuffled()
        chosen = self._order[self._index * self.batch : (self._index + 1) * self.batch]
        self._index += 1
        return Batch(
            ids=self.ids,
            starts=chosen * self._stride,
            sequence=self._sequence,
            last_only=True,
            starts_epoch=True,
        )

    def position(self) -> dict[str, Any]:
        """Returns epoch and index; the seed and the epoch determine the order of the windows."""
        return {"epoch": self.epoch, "index": self._index}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Restores ``position``, so that ``next`` returns the batches that followed it.

        Raises:
            ValueError: the text has no such position; the batches are unchanged.
        """
        if "offset" in position:
            raise ValueError("batches is of another way of training")
        self._index = whole("batches.index", position["index"], 0, self.steps_per_epoch)
        self.epoch = position["epoch"]
        self._order = self._shuffled()

    def _shuffled(self) -> Permutation:
        seed = [self._seed, 2, self.epoch]
        if self._windows > MAX_SHUFFLED_WINDOWS:
            return LazyPermutation(self._windows, seed)
        return np.random.default_rng(seed).permutation(self._windows)
