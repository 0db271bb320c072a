"""`generate --streams`: many texts at once are the texts one at a time, figures included."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch
from model_fixtures import VOCABULARY, make_checkpoint
from network_fixtures import make_network, snapshot_of

from model.config import ModelConfig, SamplingConfig
from model.sampling.sampler import Sampler
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.torch_lstm import TorchLstmStepper
from tui.cli import generation
from tui.cli.generation import WrittenText, write, write_group

SNAPSHOT = snapshot_of(make_network(ModelConfig(hidden=12), len(VOCABULARY)))
SEEDS = range(7, 12)


def make_sampler(seeds: Sequence[int]) -> Sampler:
    return Sampler(SNAPSHOT, VOCABULARY, sampling=SamplingConfig(), seeds=seeds)


def one_at_a_time(length: int, stop: str) -> list[WrittenText]:
    return [write(make_sampler([seed]), length, stop, lambda _: None) for seed in SEEDS]


@pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 700])
@pytest.mark.parametrize("stop", ["", "a", "th", "no such text"])
def test_texts_and_figures_are_those_of_single_streams(length: int, stop: str) -> None:
    group = write_group(make_sampler(SEEDS), length, stop)
    for together, alone in zip(group, one_at_a_time(length, stop), strict=True):
        assert together.text == alone.text
        assert together.bits_per_character == alone.bits_per_character
        assert together.seconds >= 0


def test_a_stop_that_lies_across_two_looks_is_found() -> None:
    (whole, *_) = one_at_a_time(700, "")
    stop = whole.text[254:259]
    assert whole.text.index(stop) == 254, "another seed is needed: this text has it earlier"
    assert write_group(make_sampler(SEEDS), 700, stop)[0].text == whole.text[:254]


@pytest.mark.parametrize("seeds", [[7], [7, 8, 9]], ids=["one", "three"])
@pytest.mark.parametrize("max_parallel_characters", [0, 1000], ids=["in turn", "side by side"])
def test_a_kernel_of_a_device_writes_the_same_texts(
    seeds: list[int], max_parallel_characters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MAX_PARALLEL_CHARACTERS", max_parallel_characters)
    checkpoint = make_checkpoint()
    found = []
    for make_stepper in (
        numpy_batch_stepper,
        partial(TorchLstmStepper, device=torch.device("cpu")),
    ):
        shown: list[str] = []
        request = generation.GenerationRequest(
            checkpoint=checkpoint,
            sampling=SamplingConfig(),
            seeds=seeds,
            prompt="",
            echo=True,
            length=300,
            stop="zz",
            show=shown.append,
            make_stepper=make_stepper,
        )
        texts = [written.text for written in request.texts()]
        assert "".join(shown) == "".join(f"{text}\n" for text in texts)
        found.append(texts)
    assert found[0] == found[1]
    assert len(set(found[0])) == len(seeds)
