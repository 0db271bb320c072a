"""Writes one or many texts from one snapshot: first in NumPy, then in compiled code. NumPy.

Loading Numba and the compiled kernels takes half a second, and compiling them for the first time
ten; in NumPy the first character comes at once. The two round differently, so the change comes at a
fixed character. A text has the same bits alone and beside others, with any number of threads.
Letters: S streams, V vocabulary, N characters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING, Final

import numpy as np

from corpus import Vocabulary
from model.config import SamplingConfig
from model.constraints.letters import Allowed
from model.events import LineDrafted
from model.kernels.splitmix import BLOCK
from model.network.snapshot import FloatArray, LstmSnapshot, WeightSnapshot
from model.sampling.distribution import choose, mask_bits, masked, probabilities_of
from model.sampling.noise import GumbelNoise
from model.sampling.prompt import first_ids
from model.sampling.sampler_state import SamplerState
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.numpy_lstm import COLUMNS, LstmBatchStepper
from model.steppers.stepper import MakeBatchStepper, Symbols
from model.system.compiled_code import made_or_none
from model.system.cores import usable_cores

if TYPE_CHECKING:
    from model.sampling.compiled_lstm import CompiledDecoder, ShardedDecoder

NUMPY_CHARACTERS: Final = 4 * BLOCK
"""Characters of each text that NumPy writes before compiled code takes over."""
CHARACTERS_PER_READ: Final = 16
"""Most characters that NumPy writes in one call; compiled code writes up to `BLOCK`."""


class Sampler:
    """Writes S texts; the text of a seed depends only on weights, prompt and sampling settings."""

    def __init__(
        self,
        snapshot: WeightSnapshot,
        vocabulary: Vocabulary,
        *,
        sampling: SamplingConfig,
        seeds: Sequence[int],
        prompt: str = "",
        window: int | None = None,
        make_stepper: MakeBatchStepper = numpy_batch_stepper,
        numpy_characters: int = NUMPY_CHARACTERS,
        allowed: Allowed | None = None,
    ) -> None:
        """Starts cold and reads the prompt.

        Args:
            snapshot: the weights.
            vocabulary: characters of the ids; of the size of the snapshot.
            sampling: how characters are drawn, in all texts.
            seeds: [S], of each text's noise.
            prompt: text within the vocabulary, for all texts.
            window: as in ``CharacterStream``.
            make_stepper: makes the stepper. Only after NumPy's of one LSTM, and without a window,
                compiled code takes over.
            numpy_characters: characters before that.
            allowed: [V], which symbols may be written; None allows all.
        """
        is_numpy = make_stepper is numpy_batch_stepper
        size = COLUMNS if is_numpy else len(seeds)
        self._groups = [
            StreamBatch(
                snapshot,
                vocabulary,
                sampling=sampling,
                seeds=seeds[first : first + size],
                prompt=prompt,
                window=window,
                make_stepper=make_stepper,
                allowed=allowed,
            )
            for first in range(0, len(seeds), size)
        ]
        self.vocabulary = vocabulary
        self._snapshot, self._sampling, self._count = snapshot, sampling, len(seeds)
        self._allowed = allowed
        self.drafted: Sequence[LineDrafted] = ()
        """No lines are drafted."""
        # Compiled code masks after the temperature, which is the same only without truncation.
        self._compiles = (
            is_numpy
            and window is None
            and isinstance(snapshot, LstmSnapshot)
            and (allowed is None or not sampling.truncates)
        )
        self._numpy_left = numpy_characters
        self._decoder: CompiledDecoder | ShardedDecoder | None = None
        self._pool = ThreadPoolExecutor(min(len(self._groups), usable_cores()), "sampler")

    def __len__(self) -> int:
        """Returns the number of texts."""
        return self._count

    @property
    def mask_bits(self) -> FloatArray:
        """What the mask has cost each text so far, [S], bits."""
        costs = np.concatenate([group.mask_bits for group in self._groups])
        return costs if self._decoder is None else costs + self._decoder.mask_bits

    def write(self, most: int) -> tuple[Symbols, FloatArray]:
        """Writes 1 to ``most`` characters in each text; returns ids and probabilities, [N, S]."""
        if self._compiles and not self._numpy_left:
            self._decoder = made_or_none(self._make_decoder)
            self._compiles = False
        if self._decoder is not None:
            return self._decoder.write(min(most, BLOCK))
        count = min(most, CHARACTERS_PER_READ)
        if self._compiles:
            count = min(count, self._numpy_left)
            self._numpy_left -= count
        if len(self._groups) == 1:
            return _write_steps(self._groups[0], count)
        parts = list(self._pool.map(_write_steps, self._groups, repeat(count)))
        ids, probabilities = zip(*parts, strict=True)
        return np.concatenate(ids, axis=1), np.concatenate(probabilities, axis=1)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()
        if self._decoder is not None:
            self._decoder.close()

    def _make_decoder(self) -> CompiledDecoder | ShardedDecoder:
        """Returns a decoder that goes on from here; loads Numba."""
        from model.sampling.compiled_lstm import choose_decoder  # noqa: PLC0415 - half a second

        assert isinstance(self._snapshot, LstmSnapshot)
        state = SamplerState.joined([group.state() for group in self._groups])
        return choose_decoder(self._snapshot, state, self._sampling, self._allowed)


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
        make_stepper: MakeBatchStepper = numpy_batch_stepper,
        allowed: Allowed | None = None,
    ) -> None:
        """Starts cold and reads the prompt; the arguments are those of `Sampler`."""
        self._sampling, self._allowed = sampling, allowed
        self.mask_bits = np.zeros(len(seeds), np.float32)
        """What the mask has cost each text so far, [S], bits."""
        self._noises = [GumbelNoise(seed, len(vocabulary)) for seed in seeds]
        self._stepper = make_stepper(snapshot, len(seeds))
        self._window = window
        self._written = 0
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

    def step(self) -> tuple[Symbols, FloatArray]:
        """Writes a character in each stream; returns ids and probabilities, each [S]."""
        if self._window is not None:
            self._stepper.reset()
            self._logits = self._stepper.prime(self._recent)
        logits = np.ascontiguousarray(self._logits.T)
        chosen = choose(masked(logits, self._allowed), self._sampling, self._noise())
        if self._allowed is not None:
            self.mask_bits += mask_bits(logits, self._allowed)
        probabilities = probabilities_of(chosen, logits)
        self._written += 1
        self._recent.append(chosen)
        if self._window is None:
            self._logits = self._stepper.prime([chosen])
        return chosen, probabilities

    def _noise(self) -> FloatArray:
        """Returns the noise of the next character, [S, V]."""
        number, place = divmod(self._written, BLOCK)
        if place == 0:
            self._noise_block = np.stack([noise.block(number) for noise in self._noises], axis=1)
        row: FloatArray = self._noise_block[place]
        return row


def _write_steps(batch: StreamBatch, count: int) -> tuple[Symbols, FloatArray]:
    ids, probabilities = zip(*(batch.step() for _ in range(count)), strict=True)
    return np.stack(ids), np.stack(probabilities)
