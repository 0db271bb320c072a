"""What a student learns for a whole text, against single passes over it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from model_fixtures import TINY_MODEL, TINY_TRAINING, VOCABULARY, make_text
from network_fixtures import MACHINE, make_network

from model.compute.batch_threads import ONE_THREAD, BatchThreads
from model.compute.device import Machine
from model.compute.engine import Engine
from model.data.batches import Ids
from model.errors import ModelError
from model.evaluation.scoring import PRIMER, cut
from model.evaluation.soft_targets import CHUNK, READINGS, SOFT_SHARE, soft_targets
from model.network.character_network import CharacterNetwork
from model.network.dropout import draw_masks
from model.training.engines import can_compute

LONG = VOCABULARY.encode(make_text(5000, seed=3))
DROPPING_MODEL = dataclasses.replace(TINY_MODEL, dropout=0.4)
DROPPING = dataclasses.replace(TINY_TRAINING, embedding_dropout=0.2, weight_dropout=0.3)


def found_for(
    network: CharacterNetwork, ids: Ids, threads: BatchThreads = ONE_THREAD
) -> torch.Tensor:
    """Returns what a student learns, after its type and shape were checked."""
    found = soft_targets(network, ids, DROPPING, MACHINE, threads)
    assert found is not None
    assert (found.dtype, found.shape) == (torch.float16, (len(ids) - 1, len(VOCABULARY)))
    return found.float()


def mixed(predicted: torch.Tensor, ids: Ids) -> torch.Tensor:
    """Returns predictions [N - 1, V] with the text that they are about."""
    following = torch.from_numpy(ids[1:].astype(np.int64))
    text = torch.nn.functional.one_hot(following, predicted.shape[1])
    return SOFT_SHARE * predicted + (1 - SOFT_SHARE) * text


def in_one_pass(network: CharacterNetwork, ids: Ids) -> torch.Tensor:
    """Returns the probabilities after each character but the last, from a cold start."""
    with torch.no_grad():
        outputs, _ = network(torch.as_tensor(ids).long()[:-1, None])
        return network.logits(outputs[:, 0]).softmax(-1)


def without_dropout(ids: Ids, threads: BatchThreads = ONE_THREAD) -> torch.Tensor:
    found = soft_targets(make_network(), ids, TINY_TRAINING, MACHINE, threads)
    assert found is not None
    return found.float()


@pytest.mark.parametrize("length", [2, 3, 65, 257, 600])
def test_a_short_text_is_read_in_one_pass(length: int) -> None:
    ids = LONG[:length]
    expected = mixed(in_one_pass(make_network(), ids), ids)
    assert torch.allclose(without_dropout(ids), expected, atol=1e-3)


def test_the_parts_of_a_long_text_begin_warm() -> None:
    threads = BatchThreads(2)
    streams, stride = cut(len(LONG), 64)
    assert streams > 1, "or this test would look at nothing"
    found = without_dropout(LONG, threads)
    threads.close()
    for start in range(0, streams * stride, stride):
        before = max(0, start - PRIMER)
        ids = LONG[before : start + stride + 1]
        own = mixed(in_one_pass(make_network(), ids), ids)[start - before :]
        assert torch.allclose(found[start : start + len(own)], own, atol=1e-3)


def test_dropout_is_averaged_over_readings_that_differ() -> None:
    network, ids = make_network(DROPPING_MODEL), LONG[:CHUNK]
    block = torch.as_tensor(ids).long()[:-1, None]
    readings = []
    for reading in range(READINGS):
        torch.manual_seed(reading * len(ids))
        width, cpu = network.input_width, MACHINE.device
        masks = draw_masks(DROPPING_MODEL, DROPPING, batch=1, width=width, device=cpu)
        with torch.no_grad():
            outputs, _ = network.training_forward(
                block, network.initial_state(1), masks, "torch", torch.float32
            )
            readings.append(network.logits(outputs[:, 0]).softmax(-1))
    found = found_for(network, ids)
    assert torch.allclose(found, mixed(torch.stack(readings).mean(0), ids), atol=1e-3)
    assert not torch.allclose(readings[0], readings[1], atol=0.01)
    assert not torch.allclose(found, mixed(in_one_pass(network, ids), ids), atol=0.01)


def test_the_masks_change_along_a_text_and_are_those_of_its_places() -> None:
    network, threads = make_network(DROPPING_MODEL), BatchThreads(2)
    before = torch.get_rng_state()
    once = found_for(network, LONG)
    assert torch.equal(torch.get_rng_state(), before), "training draws as if nothing had happened"
    assert torch.allclose(found_for(network, LONG, threads), once, atol=2e-3)
    threads.close()
    same = np.full(3 * CHUNK, LONG[0])
    places = 2 * CHUNK - 1, 3 * CHUNK - 2
    late, later = (without_dropout(same)[place] for place in places)
    assert torch.allclose(late, later, atol=1e-3), "or the next line would prove nothing"
    late, later = (found_for(network, same)[place] for place in places)
    assert not torch.allclose(late, later, atol=2e-3)


@pytest.mark.parametrize("engine", [
    Engine(precision="bf16"),
    Engine(precision="fp32", layer="sequence"),
    Engine(precision="bf16", layer="sequence"),
    Engine(precision="fp32", layer="step"),
], ids=str)  # fmt: skip
def test_every_engine_reads_nearly_the_same(engine: Engine) -> None:
    if not can_compute(engine):
        pytest.skip("this processor has no bfloat16")
    machine = Machine(device=MACHINE.device, engine=engine)
    network = make_network(DROPPING_MODEL)
    found = soft_targets(network, LONG, DROPPING, machine)
    assert found is not None
    assert torch.allclose(found.float(), found_for(network, LONG), atol=0.01)


def test_it_can_be_broken_off() -> None:
    asked = iter([False, False, True])
    network = make_network()
    assert soft_targets(network, LONG, DROPPING, MACHINE, cancelled=lambda: next(asked)) is None
    assert next(asked, None) is None


def test_one_character_has_no_prediction() -> None:
    with pytest.raises(ModelError, match="cannot be scored"):
        soft_targets(make_network(), LONG[:1], TINY_TRAINING, MACHINE)
