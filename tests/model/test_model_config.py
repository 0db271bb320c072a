"""Settings are checked where they enter, and come back from JSON as they went."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import (
    ADDED_LATER,
    ModelConfig,
    SamplingConfig,
    TrainingConfig,
    from_record,
    to_record,
)
from model.errors import ConfigError
from model.presets import PRESETS

OUT_OF_RANGE = [
    (ModelConfig, "hidden", [0, -1, 16385]),
    (ModelConfig, "layers", [0, 17]),
    (ModelConfig, "embedding", [-1, 4097]),
    (ModelConfig, "dropout", [-0.1, 0.96, 1.0]),
    (TrainingConfig, "batch", [0, 65537]),
    (TrainingConfig, "sequence", [0, 65537]),
    (TrainingConfig, "learning_rate", [0.0, -1.0]),
    (TrainingConfig, "weight_decay", [-0.1, 100.1]),
    (TrainingConfig, "clip", [-1.0]),
    (TrainingConfig, "epochs", [0]),
    (TrainingConfig, "minutes", [0.0, -1.0]),
    (TrainingConfig, "validation_fraction", [-0.1, 0.91]),
    (TrainingConfig, "checkpoint_every", [0.0]),
    (TrainingConfig, "seed", [-1, 2**63]),
    (TrainingConfig, "threads", [-1, 1025]),
    (SamplingConfig, "temperature", [-0.1, 5.1]),
    (SamplingConfig, "top_k", [-1]),
    (SamplingConfig, "top_p", [0.0, 1.1]),
    (SamplingConfig, "min_p", [-0.1, 1.1]),
    (SamplingConfig, "typical", [0.0, -0.1, 1.1]),
]


@pytest.mark.parametrize(("kind", "name", "values"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_named_with_its_remedy(
    kind: Any, name: str, values: list[float]
) -> None:
    not_finite = [math.nan, math.inf, -math.inf]
    for value in [*values, *not_finite]:
        with pytest.raises(ConfigError) as caught:
            kind(**{name: value})
        message = str(caught.value)
        assert message.startswith(f"--{name.replace('_', '-')}: {value!r} is out of range; give ")
        assert "\n" not in message


def test_the_borders_are_within_the_range() -> None:
    for temperature in (0, 1e-30, 5):
        assert SamplingConfig(temperature=temperature).temperature == temperature
    smallest = ModelConfig(hidden=1, embedding=0)
    assert (smallest.hidden, smallest.embedding) == (1, 0)
    cuts = SamplingConfig(top_p=1e-9, min_p=1, typical=1e-9)
    assert (cuts.top_p, cuts.min_p, cuts.typical) == (1e-9, 1, 1e-9)


def test_some_end_of_training_must_be_planned() -> None:
    with pytest.raises(ConfigError, match="give epochs or minutes"):
        TrainingConfig(epochs=None)
    TrainingConfig(epochs=None, minutes=1.0)


def test_weight_decay_is_refused_where_the_optimiser_would_not_apply_it() -> None:
    with pytest.raises(ConfigError, match="--weight-decay: rmsprop has no decoupled"):
        TrainingConfig(optimiser="rmsprop")
    TrainingConfig(optimiser="rmsprop", weight_decay=0.0)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_settings_come_back_from_json(preset: Any) -> None:
    for settings in (preset.model, preset.training, SamplingConfig(temperature=0.3)):
        record = json.loads(json.dumps(to_record(settings)))
        assert from_record(type(settings), record) == settings


@given(unknown=st.text(min_size=1), value=st.integers())
def test_settings_of_a_later_version_are_left_out(unknown: str, value: int) -> None:
    record = {f"later_{unknown}": value, **to_record(ModelConfig(hidden=9))}
    assert from_record(ModelConfig, record) == ModelConfig(hidden=9)


def test_a_record_without_a_network_is_of_an_lstm_and_an_unknown_one_is_refused() -> None:
    record = to_record(ModelConfig(hidden=9))
    del record["network"]
    assert from_record(ModelConfig, record) == ModelConfig(network="lstm", hidden=9)
    with pytest.raises(ConfigError, match="--network: no network is called 'later'; there are"):
        from_record(ModelConfig, record | {"network": "later"})


def test_a_record_with_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError):
        from_record(ModelConfig, to_record(ModelConfig()) | {"hidden": 0})


@pytest.mark.parametrize("kind", [ModelConfig, TrainingConfig, SamplingConfig])
def test_a_record_with_a_value_of_another_type_or_without_it_is_refused(kind: Any) -> None:
    record = to_record(kind())
    for name in record:
        for value in ("eight", [True], {}, [-1, "a"], float("nan"), 10**400, -1, object()):
            with pytest.raises((ConfigError, TypeError)):
                from_record(kind, record | {name: value})
        # Without the only field of a version, it is a record of the version before.
        if not any(names & set(record) == {name} for names in ADDED_LATER):
            with pytest.raises(TypeError, match="is missing"):
                from_record(kind, {other: record[other] for other in record if other != name})


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(TypeError):
        from_record(ModelConfig, to_record(ModelConfig()) | {"layers": True})
