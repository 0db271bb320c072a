"""Many streams of characters from one snapshot, side by side: a matrix product for all of them.

Writes what as many `model.sampling.stream.CharacterStream` with the same seeds would, but for
rounding. A product with many columns reads each weight once for all streams. Letters: S streams, V
vocabulary, H hidden, L layers. NumPy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise, repeat
from typing import Protocol

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.config import SamplingConfig
from model.kernels.splitmix import BLOCK
from model.network.snapshot import FloatArray, LstmSnapshot, WeightSnapshot
from model.sampling.distribution import choose, is_plain
from model.sampling.noise import GumbelNoise
from model.sampling.numpy_lstm import LstmBatchStepper
from model.sampling.prompt import first_ids
from model.sampling.stepper import MakeBatchStepper, SamplerState, Symbols
from model.system.compiled_code import made_or_none

BY_NUMPY = 4 * BLOCK
"""Characters of each stream before one asks for a faster kernel, which takes a second to load. A
fixed number: kernels round differently, and the text of a seed must not depend on its length."""


class Successor(Protocol):
    """What goes on with S texts."""

    def write(self, count: int) -> tuple[Symbols, FloatArray]:
        """Writes so many characters in each; returns ids and own probabilities [count, S]."""

    def close(self) -> None:
        """Ends its threads."""


FindSuccessor = Callable[[WeightSnapshot, SamplerState, float], Successor | None]
"""Takes weights, texts and temperature; returns None where NumPy may go on by itself."""


def compiled_successor(
    snapshot: WeightSnapshot, state: SamplerState, temperature: float
) -> Successor | None:
    """Returns what goes on with texts in compiled code; loads Numba."""
    from model.sampling.compiled_lstm import successor  # noqa: PLC0415 - half a second

    assert isinstance(snapshot, LstmSnapshot)
    return successor(snapshot, state, temperature)


class StreamBatch:
    """S texts that grow by one character each at every step."""

    def __init__(
        self,
        snapshot: WeightSnapshot,
        vocabulary: Vocabulary,
        *,
        sampling: SamplingConfig,
        seeds: Sequence[int],
        prompt: str = "",
        window: int | None = None,
        make_stepper: MakeBatchStepper = LstmBatchStepper,
    ) -> None:
        """Starts cold and reads the prompt.

        Args:
            snapshot: the weights.
            vocabulary: what the ids mean; of the size that the snapshot has.
            sampling: how characters are drawn, in all of the streams.
            seeds: of each stream's noise; there are as many streams.
            prompt: text within the vocabulary, for all.
            window: as in ``CharacterStream``.
            make_stepper: makes what computes.
        """
        self._sampling = sampling
        self._noises = [GumbelNoise(seed, len(vocabulary)) for seed in seeds]
        self._stepper = make_stepper(snapshot, len(seeds))
        self._window = window
        self._written = 0
        self._numbers = np.arange(len(seeds))
        ids = [np.full(len(seeds), first) for first in first_ids(prompt, vocabulary)]
        self._recent: deque[Symbols] = deque(ids, maxlen=window or 1)
        self._logits = self._stepper.prime(ids)

    def state(self) -> SamplerState:
        """Returns the state of the texts, for streams without a window that NumPy computes."""
        assert isinstance(self._stepper, LstmBatchStepper), "no other stepper gives its state away"
        return SamplerState(
            carried=self._stepper.state,
            logits=np.ascontiguousarray(self._logits.T),
            noises=tuple(self._noises),
            written=self._written,
        )

    def step(self) -> tuple[Symbols, npt.NDArray[np.float32]]:
        """Writes a character in each stream; returns ids [S] and their own probabilities [S]."""
        if self._window is not None:
            self._stepper.reset()
            self._logits = self._stepper.prime(self._recent)
        logits = np.ascontiguousarray(self._logits.T)
        chosen = choose(logits, self._sampling, self._noise())
        weights = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
        own = weights[self._numbers, chosen] / np.add.reduce(weights, axis=1)
        self._written += 1
        self._recent.append(chosen)
        if self._window is None:
            self._logits = self._stepper.prime([chosen])
        return chosen, own

    def _noise(self) -> npt.NDArray[np.float32]:
        """Returns the row of each stream, [S, V]."""
        number, place = divmod(self._written, BLOCK)
        if place == 0:
            self._block = np.stack([noise.block(number) for noise in self._noises], axis=1)
        row: npt.NDArray[np.float32] = self._block[place]
        return row


class ParallelStreams:
    """Streams shared out among threads; NumPy lets go of the interpreter in its products."""

    LEAST_OF_A_THREAD = 4

    def __init__(
        self,
        snapshot: WeightSnapshot,
        vocabulary: Vocabulary,
        *,
        sampling: SamplingConfig,
        seeds: Sequence[int],
        prompt: str = "",
        window: int | None = None,
        threads: int = 1,
        make_stepper: MakeBatchStepper = LstmBatchStepper,
        find_successor: FindSuccessor | None = None,
    ) -> None:
        """Starts cold and reads the prompt.

        Args:
            snapshot: as in `StreamBatch`.
            vocabulary: the same.
            sampling: the same.
            seeds: the same.
            prompt: the same.
            window: the same.
            threads: at most so many.
            make_stepper: as in `StreamBatch`.
            find_successor: is asked once, after `BY_NUMPY` characters of each stream, for what
                goes on faster; where nothing can be compiled, nothing does.
        """
        parts = max(1, min(threads, len(seeds) // self.LEAST_OF_A_THREAD))
        borders = [len(seeds) * part // parts for part in range(parts + 1)]
        self._count = len(seeds)
        self._snapshot = snapshot
        self._temperature = sampling.temperature
        self._find_successor = None
        if window is None and is_plain(sampling) and make_stepper is LstmBatchStepper:
            self._find_successor = find_successor
        self._until_asked = BY_NUMPY
        self._successor: Successor | None = None
        self._batches = [
            StreamBatch(
                snapshot,
                vocabulary,
                sampling=sampling,
                seeds=seeds[first:end],
                prompt=prompt,
                window=window,
                make_stepper=make_stepper,
            )
            for first, end in pairwise(borders)
        ]

    def __len__(self) -> int:
        """Streams."""
        return self._count

    def write(self, count: int) -> tuple[Symbols, npt.NDArray[np.float32]]:
        """Writes so many characters in each stream.

        Returns:
            Ids and their own probabilities, each [count, S].
        """
        if self._find_successor is None:
            return self._write(count)
        first = min(count, self._until_asked)
        self._until_asked -= first
        parts = [self._write(first)] if first else []
        if not self._until_asked:
            state = SamplerState.joined([batch.state() for batch in self._batches])
            find = partial(self._find_successor, self._snapshot, state, self._temperature)
            self._successor = made_or_none(find)
            self._find_successor = None
        if first < count:
            parts.append(self._write(count - first))
        ids, own = zip(*parts, strict=True)
        return np.concatenate(ids), np.concatenate(own)

    def close(self) -> None:
        """Ends the threads of what went on with the texts."""
        if self._successor is not None:
            self._successor.close()

    def _write(self, count: int) -> tuple[Symbols, npt.NDArray[np.float32]]:
        if self._successor is not None:
            return self._successor.write(count)
        if len(self._batches) == 1:
            return _steps(self._batches[0], count)
        with ThreadPoolExecutor(len(self._batches)) as pool:
            parts = list(pool.map(_steps, self._batches, repeat(count)))
        ids, own = zip(*parts, strict=True)
        return np.concatenate(ids, axis=1), np.concatenate(own, axis=1)


def _steps(batch: StreamBatch, count: int) -> tuple[Symbols, npt.NDArray[np.float32]]:
    ids, own = zip(*(batch.step() for _ in range(count)), strict=True)
    return np.stack(ids), np.stack(own)
