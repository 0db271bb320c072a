"""Many streams of characters from one snapshot, in one matrix product for all of them. NumPy.

They write what `model.sampling.stream.CharacterStream` writes with the same seeds; only rounding
differs. A product with many columns reads each weight once for all streams. Letters: S streams, V
vocabulary, H hidden, L layers, N characters.
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
from model.sampling.distribution import choose
from model.sampling.noise import GumbelNoise
from model.sampling.numpy_lstm import LstmBatchStepper
from model.sampling.prompt import first_ids
from model.sampling.stepper import MakeBatchStepper, SamplerState, Symbols
from model.system.compiled_code import made_or_none

NUMPY_CHARACTERS = 4 * BLOCK
"""Characters that NumPy writes in each stream before a compiled decoder, which takes half a second
to load, takes over. The number is fixed, because decoders round differently, and the text of a seed
must not depend on its length or on the number of streams."""


class Decoder(Protocol):
    """Writes S streams on from a state."""

    def write(self, count: int) -> tuple[Symbols, FloatArray]:
        """Writes N characters in each stream; returns ids and probabilities, each [N, S]."""

    def close(self) -> None:
        """Ends its threads."""


MakeDecoder = Callable[[WeightSnapshot, SamplerState, SamplingConfig], Decoder | None]
"""Takes weights, state and sampling settings; returns None if NumPy is to go on."""


def make_compiled_decoder(
    snapshot: WeightSnapshot, state: SamplerState, sampling: SamplingConfig
) -> Decoder | None:
    """Returns a decoder in compiled code, or None if NumPy is faster; loads Numba."""
    from model.sampling.compiled_lstm import choose_decoder  # noqa: PLC0415 - half a second

    assert isinstance(snapshot, LstmSnapshot)
    return choose_decoder(snapshot, state, sampling)


class StreamBatch:
    """S streams that each grow by one character a step, in NumPy or on a device."""

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
            vocabulary: characters of the ids; of the size of the snapshot.
            sampling: how characters are drawn, in all streams.
            seeds: [S], of each stream's noise.
            prompt: text within the vocabulary, for all streams.
            window: as in ``CharacterStream``.
            make_stepper: makes the stepper.
        """
        self._sampling = sampling
        self._noises = [GumbelNoise(seed, len(vocabulary)) for seed in seeds]
        self._stepper = make_stepper(snapshot, len(seeds))
        self._window = window
        self._written = 0
        self._rows = np.arange(len(seeds))
        ids = [np.full(len(seeds), first) for first in first_ids(prompt, vocabulary)]
        self._recent: deque[Symbols] = deque(ids, maxlen=window or 1)
        self._logits = self._stepper.prime(ids)

    def state(self) -> SamplerState:
        """Returns the state of the streams, if NumPy steps them and there is no window."""
        assert isinstance(self._stepper, LstmBatchStepper), (
            "only NumPy's stepper hands over its state"
        )
        return SamplerState(
            carried=self._stepper.state,
            logits=np.ascontiguousarray(self._logits.T),
            noises=tuple(self._noises),
            written=self._written,
        )

    def step(self) -> tuple[Symbols, npt.NDArray[np.float32]]:
        """Writes a character in each stream; returns ids and probabilities, each [S]."""
        if self._window is not None:
            self._stepper.reset()
            self._logits = self._stepper.prime(self._recent)
        logits = np.ascontiguousarray(self._logits.T)
        chosen = choose(logits, self._sampling, self._noise())
        weights = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
        probabilities = weights[self._rows, chosen] / np.add.reduce(weights, axis=1)
        self._written += 1
        self._recent.append(chosen)
        if self._window is None:
            self._logits = self._stepper.prime([chosen])
        return chosen, probabilities

    def _noise(self) -> npt.NDArray[np.float32]:
        """Returns the noise of the next character, [S, V]."""
        number, place = divmod(self._written, BLOCK)
        if place == 0:
            self._noise_block = np.stack([noise.block(number) for noise in self._noises], axis=1)
        row: npt.NDArray[np.float32] = self._noise_block[place]
        return row


class ParallelStreams:
    """S streams shared out among threads; NumPy releases the GIL in its products."""

    MIN_STREAMS_PER_THREAD = 4
    """With fewer, threads cost more than they gain."""

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
        make_decoder: MakeDecoder | None = None,
    ) -> None:
        """Starts cold and reads the prompt.

        Args:
            snapshot: the weights.
            vocabulary: characters of the ids; of the size of the snapshot.
            sampling: how characters are drawn, in all streams.
            seeds: [S], of each stream's noise.
            prompt: text within the vocabulary, for all streams.
            window: as in ``CharacterStream``.
            threads: limit of the threads.
            make_stepper: makes the stepper.
            make_decoder: is called once, after `NUMPY_CHARACTERS` characters of each
                stream, for a faster decoder. If nothing can be compiled, NumPy goes on.
        """
        parts = max(1, min(threads, len(seeds) // self.MIN_STREAMS_PER_THREAD))
        borders = [len(seeds) * part // parts for part in range(parts + 1)]
        self._count = len(seeds)
        self._snapshot = snapshot
        self._sampling = sampling
        self._make_decoder = None
        if window is None and make_stepper is LstmBatchStepper:
            self._make_decoder = make_decoder
        self._numpy_left = NUMPY_CHARACTERS
        self._decoder: Decoder | None = None
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
        """Returns the number of streams."""
        return self._count

    def write(self, count: int) -> tuple[Symbols, npt.NDArray[np.float32]]:
        """Writes N characters in each stream; returns ids and probabilities, each [N, S]."""
        if self._make_decoder is None:
            return self._write(count)
        first = min(count, self._numpy_left)
        self._numpy_left -= first
        parts = [self._write(first)] if first else []
        if not self._numpy_left:
            state = SamplerState.joined([batch.state() for batch in self._batches])
            make = partial(self._make_decoder, self._snapshot, state, self._sampling)
            self._decoder = made_or_none(make)
            self._make_decoder = None
        if first < count:
            parts.append(self._write(count - first))
        ids, probabilities = zip(*parts, strict=True)
        return np.concatenate(ids), np.concatenate(probabilities)

    def close(self) -> None:
        """Ends the threads of the compiled decoder."""
        if self._decoder is not None:
            self._decoder.close()

    def _write(self, count: int) -> tuple[Symbols, npt.NDArray[np.float32]]:
        if self._decoder is not None:
            return self._decoder.write(count)
        if len(self._batches) == 1:
            return _write_steps(self._batches[0], count)
        with ThreadPoolExecutor(len(self._batches)) as pool:
            parts = list(pool.map(_write_steps, self._batches, repeat(count)))
        ids, probabilities = zip(*parts, strict=True)
        return np.concatenate(ids, axis=1), np.concatenate(probabilities, axis=1)


def _write_steps(batch: StreamBatch, count: int) -> tuple[Symbols, npt.NDArray[np.float32]]:
    ids, probabilities = zip(*(batch.step() for _ in range(count)), strict=True)
    return np.stack(ids), np.stack(probabilities)
