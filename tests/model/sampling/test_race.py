"""The race: the same noise in every lane, a model and a temperature for each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from model_fixtures import TEXT, TINY_MODEL, VOCABULARY, random_weights

from model.config import SamplingConfig
from model.network.snapshot import FloatArray, LstmSnapshot, WeightSnapshot
from model.sampling.race import LaneModel, Race
from model.sampling.stream import CharacterStream
from model.steppers.stepper import Symbols

TEMPERATURES = (0.2, 0.5, 1.0, 1.2)


def snapshot(seed: int = 0) -> LstmSnapshot:
    weights = random_weights(TINY_MODEL, len(VOCABULARY), seed=seed)
    return LstmSnapshot.from_weights(weights, step=0)


def race_of(
    *temperatures: float, seed: int = 3, prompt: str = "", window: int | None = None
) -> Race:
    """Returns a race of one network at several temperatures."""
    network = LaneModel.of_weights(snapshot(), window=window)
    lanes = [("network", temperature) for temperature in temperatures]
    return Race(lanes, {"network": network}, VOCABULARY, seed=seed, prompt=prompt)


class LetterCounts:
    """A `BatchStepper` that only knows how often each symbol occurs: an order-0 model."""

    def __init__(self, streams: int) -> None:
        counts = np.bincount(VOCABULARY.encode(TEXT), minlength=len(VOCABULARY))
        row = np.log(counts + 0.01).astype(np.float32)
        self._logits = np.repeat(row[:, None], streams, axis=1)

    def adopt(self, snapshot: WeightSnapshot) -> None:
        raise ValueError(snapshot)

    def reset(self) -> None:
        pass

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        list(ids)
        return self._logits


LETTERS = LaneModel(make_stepper=LetterCounts)


def lanes_of(race: Race, count: int) -> list[str]:
    steps = [race.step().characters for _ in range(count)]
    return ["".join(lane) for lane in zip(*steps, strict=True)]


def alone(temperature: float, count: int, window: int | None = None) -> str:
    stream = CharacterStream(
        snapshot(),
        VOCABULARY,
        sampling=SamplingConfig(temperature=temperature),
        seed=7,
        prompt=TEXT[:5],
        window=window,
    )
    return "".join(stream.step().character for _ in range(count))


@pytest.mark.parametrize("window", [None, 4])
def test_each_lane_writes_what_a_stream_alone_would(window: int | None) -> None:
    race = race_of(*TEMPERATURES, 0.0, seed=7, prompt=TEXT[:5], window=window)
    assert lanes_of(race, 60) == [alone(t, 60, window) for t in (*TEMPERATURES, 0.0)]


def test_lanes_of_one_temperature_never_part() -> None:
    assert len(set(lanes_of(race_of(0.8, 0.8, 0.8), 100))) == 1


def test_lanes_of_two_models_differ_only_by_the_model() -> None:
    network = LaneModel.of_weights(snapshot())
    models = {"letters": LETTERS, "network": network, "twin": LaneModel.of_weights(snapshot())}
    lanes = [("letters", 0.7), ("network", 0.7), ("twin", 0.7), ("letters", 0.7)]
    letters, first, twin, again = lanes_of(
        Race(lanes, models, VOCABULARY, seed=7, prompt=TEXT[:5]), 80
    )
    assert first == twin == alone(0.7, 80)
    assert letters == again
    assert letters != first


def test_a_lane_without_a_model_stays_empty_and_delays_no_other() -> None:
    models = {"network": LaneModel.of_weights(snapshot())}
    race = Race([("absent", 1.0), ("network", 1.0)], models, VOCABULARY, seed=7, prompt=TEXT[:5])
    race.adopt("absent", snapshot())
    absent, network = lanes_of(race, 40)
    assert (absent, network) == ("", alone(1.0, 40))


def test_a_temperature_changes_one_lane_from_its_next_character_on() -> None:
    kept, changed = race_of(0.8, 0.8), race_of(0.8, 0.8)
    assert lanes_of(kept, 20) == lanes_of(changed, 20)
    changed.set_temperature(1, 5.0)
    first, second = lanes_of(changed, 100)
    assert first == lanes_of(kept, 100)[0]
    assert second != first


def test_other_weights_are_adopted_with_the_state_kept() -> None:
    race, same = race_of(1.0, 1.0), race_of(1.0, 1.0)
    assert lanes_of(race, 30) == lanes_of(same, 30)
    race.adopt("network", snapshot())
    assert lanes_of(race, 30) == lanes_of(same, 30), "the same weights change nothing"
    race.adopt("network", snapshot(seed=5))
    assert lanes_of(race, 60) != lanes_of(same, 60)


def test_weights_that_overflowed_are_no_crash_and_leave_other_models_alone() -> None:
    weights = random_weights(TINY_MODEL, len(VOCABULARY))
    weights["head.bias"] = np.full_like(weights["head.bias"], np.nan)
    broken = LaneModel.of_weights(LstmSnapshot.from_weights(weights, step=0))
    models = {"broken": broken, "network": LaneModel.of_weights(snapshot())}
    lanes = [("broken", 1.0), ("broken", 0.0), ("network", 1.0)]
    written = lanes_of(Race(lanes, models, VOCABULARY, seed=7, prompt=TEXT[:5]), 20)
    assert all(len(lane) == 20 for lane in written)
    assert written[2] == alone(1.0, 20)
