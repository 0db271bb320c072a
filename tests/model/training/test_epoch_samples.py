"""The samples of an epoch: one seed text, one noise, a text for each temperature."""

from __future__ import annotations

import dataclasses

import pytest
from model_fixtures import TEXT, TINY_MODEL, TINY_TRAINING, VOCABULARY, random_weights

from model.config import SamplingConfig, ScoringMode, TrainingConfig
from model.network.snapshot import LstmSnapshot
from model.sampling.stream import CharacterStream
from model.training.epoch_samples import write_samples

SNAPSHOT = LstmSnapshot.from_weights(random_weights(TINY_MODEL, len(VOCABULARY), seed=0), step=0)
TRAINING = dataclasses.replace(TINY_TRAINING, sample_length=60)


def samples(training: TrainingConfig) -> list[tuple[float, str]]:
    return write_samples(SNAPSHOT, VOCABULARY, training, TEXT[:5], cancelled=lambda: False)


def alone(training: TrainingConfig, temperature: float) -> str:
    stream = CharacterStream(
        SNAPSHOT,
        VOCABULARY,
        sampling=SamplingConfig(temperature=temperature),
        seed=training.seed,
        prompt=TEXT[:5],
        window=training.window,
    )
    return "".join(stream.step().character for _ in range(training.sample_length))


@pytest.mark.parametrize("scoring", ["every", "last"])
def test_each_is_what_a_stream_would_write(scoring: ScoringMode) -> None:
    training = dataclasses.replace(TRAINING, scoring=scoring, sequence=8)
    found = samples(training)
    assert (training.window is None) == (scoring == "every")
    assert found == [(t, alone(training, t)) for t in (0.2, 0.5, 1.0, 1.2)]


def test_no_temperatures_or_no_characters_are_no_samples() -> None:
    assert samples(dataclasses.replace(TRAINING, sample_temperatures=())) == []
    assert samples(dataclasses.replace(TRAINING, sample_length=0)) == []


def test_a_stop_is_noticed_before_the_next_character() -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked == 10

    assert write_samples(SNAPSHOT, VOCABULARY, TRAINING, TEXT[:5], cancelled=cancelled) == []
    assert asked == 10
