"""A race: one prompt, one row of noise for all lanes, and a temperature for each lane. NumPy.

The lanes differ only in temperature. Because they share the noise, they write the same text until
a temperature changes one draw. Letters: S lanes, V vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.config import SamplingConfig
from model.events import LanesWritten
from model.kernels.splitmix import MIN_FLOAT32_TEMPERATURE
from model.network.snapshot import WeightSnapshot
from model.sampling.distribution import choose
from model.sampling.noise import GumbelNoise
from model.sampling.numpy_lstm import LstmBatchStepper
from model.sampling.prompt import first_ids
from model.sampling.stepper import MakeBatchStepper


class Race:
    """S lanes that each write one character a step, in one batched product."""

    def __init__(
        self,
        snapshot: WeightSnapshot,
        vocabulary: Vocabulary,
        *,
        temperatures: Sequence[float],
        seed: int,
        prompt: str = "",
        window: int | None = None,
        make_stepper: MakeBatchStepper = LstmBatchStepper,
    ) -> None:
        """Starts cold and reads the prompt in every lane.

        Args:
            snapshot: the weights.
            vocabulary: what the ids mean; of the size that the snapshot has.
            temperatures: one for each lane; 0 draws the likeliest character.
            seed: of the shared noise.
            prompt: text within the vocabulary.
            window: as in ``CharacterStream``.
            make_stepper: makes the stepper.
        """
        self._vocabulary = vocabulary
        self._noise = GumbelNoise(seed, len(vocabulary))
        self._stepper = make_stepper(snapshot, len(temperatures))
        self._window = window
        self._written = 0
        self._temperatures = np.empty(len(temperatures), np.float32)
        for lane, temperature in enumerate(temperatures):
            self.set_temperature(lane, temperature)
        ids = [np.full(len(temperatures), first) for first in first_ids(prompt, vocabulary)]
        self._recent: deque[npt.NDArray[np.intp]] = deque(ids, maxlen=window or 1)
        self._logits = self._stepper.prime(ids)

    def __len__(self) -> int:
        """Returns the number of lanes."""
        return len(self._temperatures)

    def set_temperature(self, lane: int, temperature: float) -> None:
        """Sets a lane's temperature from its next character on."""
        # A lower one draws the likeliest character anyway, and logits / temperature would overflow.
        self._temperatures[lane] = temperature if temperature >= MIN_FLOAT32_TEMPERATURE else 0.0

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape, and keeps the state."""
        self._stepper.adopt(snapshot)

    def step(self) -> LanesWritten:
        """Writes one character in each lane."""
        if self._window is not None:
            self._stepper.reset()
            self._logits = self._stepper.prime(self._recent)
        chosen = self._choose()
        self._written += 1
        self._recent.append(chosen)
        if self._window is None:
            self._logits = self._stepper.prime([chosen])
        return LanesWritten(characters=tuple(self._vocabulary.decode(chosen)))

    def _choose(self) -> npt.NDArray[np.intp]:
        """Returns the next id of each lane by the Gumbel-max trick; see ``distribution.choose``."""
        logits = self._logits.T
        if not np.isfinite(logits.max(axis=1)).all():  # -inf beside a finite one cannot be drawn
            plain = SamplingConfig(temperature=1.0, top_k=1)
            return np.asarray(choose(np.ascontiguousarray(logits), plain, self._next_noise()))
        greedy = self._temperatures == 0
        divisors = np.where(greedy, np.float32(1), self._temperatures)[:, None]
        noise = np.where(greedy[:, None], np.float32(0), self._next_noise())
        chosen: npt.NDArray[np.intp] = (logits / divisors + noise).argmax(axis=1)
        return chosen

    def _next_noise(self) -> npt.NDArray[np.float32]:
        """Returns the noise of the next character, [V]; all lanes use it."""
        return self._noise.row(self._written)
