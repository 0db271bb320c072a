"""The record of an engine in a checkpoint: read as it was written, by this version or an older."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from model.compute.engine import Engine
from model.training.checkpointing import engine_of


@pytest.mark.parametrize("layer", ["torch", "sequence", "step"])
def test_a_record_is_read_as_it_was_written(layer: Any) -> None:
    engine = Engine(precision="bf16", layer=layer, batch_shards=2, threads_per_shard=3)
    assert Engine.from_record(engine.to_record()) == engine


@pytest.mark.parametrize(
    ("before", "now"), [("packed", "sequence"), ("compiled", "step"), ("whole", "torch")]
)
def test_the_names_of_version_0_2_are_translated(before: str, now: str) -> None:
    # As a checkpoint of version 0.2.0 holds it.
    record = {"precision": "bf16", "layer": before, "shards": 1, "threads_of_a_shard": 2}
    engine = Engine.from_record(record)
    assert (engine.layer, engine.precision) == (now, "bf16")
    assert (engine.batch_shards, engine.threads_per_shard) == (1, 2)


def test_an_engine_that_this_version_does_not_have_is_chosen_again() -> None:
    def resumed(layer: str) -> Any:
        record = {"precision": "fp32", "layer": layer, "shards": 1, "threads_of_a_shard": 1}
        return SimpleNamespace(
            resumed=SimpleNamespace(metadata=SimpleNamespace(progress={"engine": record}))
        )

    assert engine_of(resumed("quantum"), 1) is None
    assert engine_of(resumed("compiled"), 1) == Engine(precision="fp32", layer="step")
