"""The race: the same noise in every lane, a temperature of its own for each."""

from __future__ import annotations

import numpy as np
import pytest
from model_fixtures import TEXT, TINY_MODEL, VOCABULARY, random_weights

from model.config import SamplingConfig
from model.network.snapshot import LstmSnapshot
from model.sampling.race import Race
from model.sampling.stream import CharacterStream

TEMPERATURES = (0.2, 0.5, 1.0, 1.2)


def snapshot(seed: int = 0) -> LstmSnapshot:
    weights = random_weights(TINY_MODEL, len(VOCABULARY), seed=seed)
    return LstmSnapshot.from_weights(weights, step=0)


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
    race = Race(
        snapshot(),
        VOCABULARY,
        temperatures=(*TEMPERATURES, 0.0),
        seed=7,
        prompt=TEXT[:5],
        window=window,
    )
    assert lanes_of(race, 60) == [alone(t, 60, window) for t in (*TEMPERATURES, 0.0)]


def test_lanes_of_one_temperature_never_part() -> None:
    race = Race(snapshot(), VOCABULARY, temperatures=(0.8, 0.8, 0.8), seed=3)
    assert len(set(lanes_of(race, 100))) == 1


def test_a_temperature_changes_one_lane_from_its_next_character_on() -> None:
    kept = Race(snapshot(), VOCABULARY, temperatures=(0.8, 0.8), seed=3)
    changed = Race(snapshot(), VOCABULARY, temperatures=(0.8, 0.8), seed=3)
    assert lanes_of(kept, 20) == lanes_of(changed, 20)
    changed.set_temperature(1, 5.0)
    first, second = lanes_of(changed, 100)
    assert first == lanes_of(kept, 100)[0]
    assert second != first


def test_other_weights_are_adopted_with_the_state_kept() -> None:
    race = Race(snapshot(), VOCABULARY, temperatures=(1.0, 1.0), seed=3)
    same = Race(snapshot(), VOCABULARY, temperatures=(1.0, 1.0), seed=3)
    assert lanes_of(race, 30) == lanes_of(same, 30)
    race.adopt(snapshot())
    assert lanes_of(race, 30) == lanes_of(same, 30), "the same weights change nothing"
    race.adopt(snapshot(seed=5))
    assert lanes_of(race, 60) != lanes_of(same, 60)


def test_weights_that_overflowed_are_no_crash() -> None:
    weights = random_weights(TINY_MODEL, len(VOCABULARY))
    weights["head.bias"] = np.full_like(weights["head.bias"], np.nan)
    race = Race(
        LstmSnapshot.from_weights(weights, step=0), VOCABULARY, temperatures=(1.0, 0.0), seed=1
    )
    assert all(len(lane) == 20 for lane in lanes_of(race, 20))
