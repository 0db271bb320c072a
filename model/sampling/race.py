"""A race: one prompt, one row of noise for all lanes, a model and a temperature for each. NumPy.

Because the lanes share the noise, lanes of one model and one temperature write the same text. Any
difference between two lanes comes from the model or from the temperature. Letters: S lanes,
V vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.config import SamplingConfig
from model.events import LanesWritten
from model.kernels.splitmix import MIN_FLOAT32_TEMPERATURE
from model.network.snapshot import FloatArray, WeightSnapshot
from model.sampling.distribution import choose
from model.sampling.noise import GumbelNoise
from model.sampling.prompt import first_ids
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.stepper import BatchStepper, MakeBatchStepper, Symbols


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneModel:
    """A model that lanes of a race can write with."""

    make_stepper: Callable[[int], BatchStepper]
    """Takes the number of lanes; the stepper starts cold."""
    window: int | None = None
    """As in ``CharacterStream``."""

    @classmethod
    def of_weights(
        cls,
        snapshot: WeightSnapshot,
        *,
        window: int | None = None,
        make_stepper: MakeBatchStepper = numpy_batch_stepper,
    ) -> LaneModel:
        """Returns a network with these weights."""
        return cls(make_stepper=partial(make_stepper, snapshot), window=window)


class Race:
    """S lanes that each write one character a step; lanes of one model share its products."""

    def __init__(
        self,
        lanes: Sequence[tuple[str, float]],
        models: Mapping[str, LaneModel],
        vocabulary: Vocabulary,
        *,
        seed: int,
        prompt: str = "",
    ) -> None:
        """Starts every model cold and reads the prompt in every lane.

        Args:
            lanes: name of the model and temperature of each lane; 0 draws the likeliest character.
            models: by name. A lane whose model is missing stays empty.
            vocabulary: what the ids mean; every model predicts these symbols.
            seed: of the shared noise.
            prompt: text within the vocabulary.
        """
        self._vocabulary = vocabulary
        self._noise = GumbelNoise(seed, len(vocabulary))
        self._written = 0
        self._temperatures = np.empty(len(lanes), np.float32)
        for lane, (_, temperature) in enumerate(lanes):
            self.set_temperature(lane, temperature)
        ids = first_ids(prompt, vocabulary)
        self._teams: dict[str, _Team] = {}
        for name in dict.fromkeys(name for name, _ in lanes):
            if name in models:
                places = [lane for lane, (other, _) in enumerate(lanes) if other == name]
                self._teams[name] = _Team(models[name], places, ids)

    def __len__(self) -> int:
        """Returns the number of lanes."""
        return len(self._temperatures)

    def set_temperature(self, lane: int, temperature: float) -> None:
        """Sets a lane's temperature from its next character on."""
        # A lower one draws the likeliest character anyway, and logits / temperature would overflow.
        self._temperatures[lane] = temperature if temperature >= MIN_FLOAT32_TEMPERATURE else 0.0

    def adopt(self, name: str, snapshot: WeightSnapshot) -> None:
        """Replaces a network's weights by others of the same shape, and keeps its lanes' state.

        Does nothing if no lane writes with a model of this name.
        """
        if name in self._teams:
            self._teams[name].stepper.adopt(snapshot)

    def step(self) -> LanesWritten:
        """Writes one character in each lane that has a model."""
        noise = self._noise.row(self._written)
        self._written += 1
        characters = [""] * len(self)
        for team in self._teams.values():
            chosen = _chosen(team.logits(), self._temperatures[team.places], noise)
            team.read(chosen)
            symbols = self._vocabulary.decode(chosen)
            for place, symbol in zip(team.places, symbols, strict=True):
                characters[place] = symbol
        return LanesWritten(characters=tuple(characters))


class _Team:
    """The lanes that one model writes, side by side."""

    def __init__(self, model: LaneModel, places: Sequence[int], ids: Sequence[int]) -> None:
        self.places = np.array(places)
        """Numbers of the lanes."""
        self.stepper = model.make_stepper(len(places))
        self._window = model.window
        first = [np.full(len(places), symbol_id) for symbol_id in ids]
        self._recent: deque[Symbols] = deque(first, maxlen=model.window or 1)
        self._logits = self.stepper.prime(first)

    def logits(self) -> FloatArray:
        """Returns the logits [S, V] of the next characters."""
        if self._window is not None:
            self.stepper.reset()
            self._logits = self.stepper.prime(self._recent)
        return self._logits.T

    def read(self, chosen: Symbols) -> None:
        """Reads the character of each lane."""
        self._recent.append(chosen)
        if self._window is None:
            self._logits = self.stepper.prime([chosen])


def _chosen(
    logits: FloatArray, temperatures: npt.NDArray[np.float32], noise: FloatArray
) -> Symbols:
    """Returns the next id of each lane by the Gumbel-max trick; see ``distribution.choose``.

    Args:
        logits: [S, V]
        temperatures: [S]
        noise: [V]; all lanes use it.
    """
    if not np.isfinite(logits.max(axis=1)).all():  # -inf beside a finite one cannot be drawn
        plain = SamplingConfig(temperature=1.0, top_k=1)
        return np.asarray(choose(np.ascontiguousarray(logits), plain, noise))
    greedy = temperatures == 0
    divisors = np.where(greedy, np.float32(1), temperatures)[:, None]
    used = np.where(greedy[:, None], np.float32(0), noise)
    chosen: Symbols = (logits / divisors + used).argmax(axis=1)
    return chosen
