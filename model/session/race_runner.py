"""The race that a sampler runs beside its text: which models there are, and when it starts again.

Everything here runs in the sampler's thread. It knows neither rates nor buffers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from corpus import Vocabulary
from model.commands import SetLaneTemperature, StartRace, StopRace
from model.config import LaneKind
from model.events import (
    LanesWritten,
    LaneTemperatureApplied,
    RaceLane,
    RaceStarted,
    RaceStopped,
)
from model.network.published import PublishedWeights
from model.network.snapshot import WeightSnapshot
from model.sampling.race import LaneModel, Race

KEPT_EPOCHS: Final = 4
"""Maximum number of epochs whose weights are kept in memory for a lane."""

RaceCommand = StartRace | SetLaneTemperature | StopRace
RaceEvent = RaceStarted | LanesWritten | LaneTemperatureApplied | RaceStopped


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSource:
    """A model that may write a lane, and what is known of it."""

    kind: LaneKind
    model: LaneModel
    vocabulary: Vocabulary
    bits_per_character: float | None = None
    """On the held-out text; None if unknown."""
    epoch: int | None = None
    """Epoch of the weights, for the lane of an epoch."""
    snapshot: WeightSnapshot | None = None
    """The weights of a network; None for another model."""

    @classmethod
    def of_weights(cls, published: PublishedWeights) -> LaneSource:
        """Returns a network with live or kept weights."""
        nats, kind = published.nats_per_character, published.kept_as or "live"
        return cls(
            kind=kind,
            model=LaneModel.of_weights(published.snapshot, window=published.window),
            vocabulary=published.vocabulary,
            bits_per_character=None if nats is None else nats / math.log(2),
            epoch=published.epoch if kind == "epoch" else None,
            snapshot=published.snapshot,
        )

    def can_replace(self, other: LaneSource) -> bool:
        """Whether a stepper of the other source can go on with these weights."""
        return (
            self.snapshot is not None
            and other.snapshot is not None
            and self.snapshot.has_shape_of(other.snapshot)
        )


class RaceRunner:
    """Runs the race that the user wants, with the models that exist."""

    def __init__(
        self, say: Callable[[RaceEvent], None], prompt: Callable[[Vocabulary], str]
    ) -> None:
        """Starts without a race.

        Args:
            say: receives each event.
            prompt: returns the user's prompt in the characters of a vocabulary.
        """
        self._say = say
        self._prompt = prompt
        self._wish: StartRace | None = None
        """The race that is wanted, with its seed and the temperatures of now."""
        self._seed = 0
        self._race: Race | None = None
        self._sources: dict[LaneKind, LaneSource] = {}
        self._epochs: dict[int, LaneSource] = {}
        self._running: dict[LaneKind, LaneSource] = {}
        """The sources that the race of now was started with, or has adopted."""

    def obey(self, command: RaceCommand, new_seed: Callable[[], int]) -> None:
        """Executes a command; a race starts when there are live weights."""
        match command:
            case StartRace(seed=seed):
                self._wish = command
                self._seed = new_seed() if seed is None else seed
                self._start()
            case SetLaneTemperature(lane=lane, temperature=temperature):
                self._set_temperature(lane, temperature)
            case StopRace():
                self._race = self._wish = None
                self._say(RaceStopped())

    def offer(self, *sources: LaneSource) -> None:
        """Takes models for their lanes.

        New weights of a model that writes already go on with its text. A model that was missing,
        and weights of another shape, start the race again, so that all lanes begin together.
        """
        starts = [self._has_to_start_with(source) for source in sources]
        if any(starts):
            self._start()

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Goes on with other live weights, those of another mixture of two models."""
        live = self._sources.get("live")
        if live is not None:
            model = LaneModel.of_weights(snapshot, window=live.model.window)
            self.offer(replace(live, snapshot=snapshot, model=model))

    def _has_to_start_with(self, source: LaneSource) -> bool:
        """Takes a model; returns whether the race has to start again because of it."""
        kind, wish = source.kind, self._wish
        before = self._running.get(kind)
        if source.epoch is not None:
            self._keep_epoch(source.epoch, source)
        else:
            self._sources[kind] = source
        if wish is None or not (kind == "live" or any(lane.model == kind for lane in wish.lanes)):
            return False
        if self._race is None or before is None:
            return True
        if source.epoch is not None:
            return False  # the lane stays with its epoch
        if source.snapshot is None or not source.can_replace(before):
            return True
        self._race.adopt(kind, source.snapshot)
        self._running[kind] = source
        return False

    def step(self) -> None:
        """Writes one character in each lane of the race, if there is one."""
        if self._race is not None:
            self._say(self._race.step())

    def _start(self) -> None:
        """Starts the wanted race if there are live weights."""
        wish, live = self._wish, self._sources.get("live")
        if wish is None or live is None:
            return
        found = [self._source(lane.model, live, wish.epoch) for lane in wish.lanes]
        self._running = {source.kind: source for source in (live, *found) if source is not None}
        prompt = self._prompt(live.vocabulary)
        self._race = Race(
            [(lane.model, lane.temperature) for lane in wish.lanes],
            {kind: source.model for kind, source in self._running.items()},
            live.vocabulary,
            seed=self._seed,
            prompt=prompt,
        )
        lanes = tuple(
            RaceLane(
                lane=lane,
                is_written=source is not None,
                bits_per_character=None if source is None else source.bits_per_character,
                epoch=None if source is None else source.epoch,
            )
            for lane, source in zip(wish.lanes, found, strict=True)
        )
        self._say(RaceStarted(lanes=lanes, seed=self._seed, prompt=prompt))

    def _source(self, kind: LaneKind, live: LaneSource, epoch: int | None) -> LaneSource | None:
        """Returns the model for a lane; None if there is none that writes the live vocabulary."""
        source = self._sources.get(kind)
        if kind == "epoch" and self._epochs:
            wanted = min(self._epochs) if epoch is None else epoch
            source = self._epochs[min(self._epochs, key=lambda kept: abs(kept - wanted))]
        if source is None or source.vocabulary.symbols != live.vocabulary.symbols:
            return None
        return source

    def _set_temperature(self, lane: int, temperature: float) -> None:
        """Sets the temperature of a lane, also for the next start of this race."""
        wish = self._wish
        if self._race is None or wish is None or not 0 <= lane < len(self._race):
            return
        self._race.set_temperature(lane, temperature)
        changed = replace(wish.lanes[lane], temperature=temperature)
        self._wish = replace(wish, lanes=(*wish.lanes[:lane], changed, *wish.lanes[lane + 1 :]))
        self._say(LaneTemperatureApplied(lane=lane, temperature=temperature))

    def _keep_epoch(self, epoch: int, source: LaneSource) -> None:
        """Keeps the weights of an epoch; the first and the newest one always stay."""
        self._epochs[epoch] = source
        kept = sorted(self._epochs)
        if len(kept) > KEPT_EPOCHS:
            # Growth is quick at first: epochs are kept at even ratios, not at even distances.
            inner = range(1, len(kept) - 1)
            closest = min(inner, key=lambda place: kept[place + 1] / max(1, kept[place - 1]))
            del self._epochs[kept[closest]]
