"""Scoring a text, against loops that do one character at a time."""

from __future__ import annotations

import dataclasses
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from model_fixtures import TINY_MODEL, TINY_TRAINING, VOCABULARY, make_checkpoint, make_text
from network_fixtures import make_network, make_trainer

from model.compute.batch_threads import ONE_THREAD, BatchThreads
from model.errors import ModelError
from model.evaluation import scoring as evaluation
from model.evaluation.protocols import evaluate
from model.evaluation.scoring import run_to_end
from model.network.character_network import CharacterNetwork

Ids = npt.NDArray[Any]

LONG_IDS: Ids = VOCABULARY.encode(make_text(9000, seed=3))


@cache
def trained() -> CharacterNetwork:
    trainer = make_trainer(dataclasses.replace(TINY_TRAINING, epochs=15))
    for _ in range(200):
        trainer.step(0.0)
    return trainer.network.eval()


def losses_in_order(network: CharacterNetwork, ids: Ids) -> list[float]:
    """Scores all but the first character, one at a time, with the state carried from cold."""
    losses, state = [], None
    with torch.no_grad():
        for here, following in pairwise(ids):
            outputs, state = network(torch.tensor([[int(here)]]), state)
            probabilities = network.logits(outputs[0, 0]).log_softmax(-1)
            losses.append(-float(probabilities[int(following)]))
    return losses


def in_streams_by_hand(network: CharacterNetwork, ids: Ids, streams: int) -> float:
    """Scores each stream by itself after the 256 characters before it."""
    length = -(-(len(ids) - 1) // streams)
    losses: list[float] = []
    for start in range(0, len(ids) - 1, length):
        primer = max(0, start - evaluation.PRIMER)
        own = ids[primer : start + length + 1]
        losses += losses_in_order(network, own)[start - primer :]
    assert len(losses) == len(ids) - 1
    return float(np.mean(losses))


@pytest.mark.parametrize("length", [2, 3, 255, 256, 257, 258, 600])
def test_one_pass_equals_a_loop_over_characters(length: int) -> None:
    ids = LONG_IDS[:length]
    expected = np.mean(losses_in_order(trained(), ids))
    assert run_to_end(evaluation.stateful(trained(), ids)) == pytest.approx(expected, abs=1e-5)


def test_streams_come_close_to_one_pass() -> None:
    one = run_to_end(evaluation.stateful(trained(), LONG_IDS))
    several = run_to_end(evaluation.stateful(trained(), LONG_IDS, streams=8))
    assert several == pytest.approx(one, abs=1e-3)
    assert several != one, "the streams were really read"


# 8 x 1025 + 1 - 5: the last stream ends in the chunk before the one in which the others do.
@pytest.mark.parametrize("length", [8193, 8196, 8300])
def test_streams_equal_a_loop_over_each_of_them(length: int) -> None:
    network = make_network(TINY_MODEL)  # random weights: a state lost somewhere shows at once
    found = run_to_end(evaluation.stateful(network, LONG_IDS[:length], streams=8))
    assert found == pytest.approx(in_streams_by_hand(network, LONG_IDS[:length], 8), abs=2e-6)


@pytest.mark.parametrize("streams", [1, 3, 4, 8])
@pytest.mark.parametrize("length", [2, 1025, 4099, 8190, 8196, 9000])
def test_every_character_but_the_first_is_scored_once(streams: int, length: int) -> None:
    """A network without weights tells by the loss alone which character it was scored on."""
    network = make_network(TINY_MODEL)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    network.head.bias.data = torch.arange(len(VOCABULARY), dtype=torch.float32) / 10
    ids = np.random.default_rng(0).integers(len(VOCABULARY), size=length, dtype=np.uint8)
    losses = np.full(length - 1, np.nan, np.float32)
    found = run_to_end(evaluation.stateful(network, ids, streams=streams, losses=losses))
    expected = -network.head.bias.detach().log_softmax(0).numpy()[ids[1:]]
    assert losses == pytest.approx(expected, abs=1e-5)
    assert found == pytest.approx(float(expected.mean()), abs=1e-5)


@pytest.mark.parametrize("streams", [1, 3, 8])
@pytest.mark.parametrize("length", [2, 1025, 8196])
def test_threads_that_share_the_streams_change_nothing(streams: int, length: int) -> None:
    network, ids = make_network(TINY_MODEL), LONG_IDS[:length]
    losses = np.zeros((2, length - 1), np.float32)
    threads = BatchThreads(3)
    alone = run_to_end(evaluation.stateful(network, ids, streams=streams, losses=losses[0]))
    shared = run_to_end(
        evaluation.stateful(network, ids, streams=streams, losses=losses[1], threads=threads)
    )
    windows = [
        run_to_end(evaluation.windowed(network, ids, window=20, batch=7, threads=some))
        for some in (ONE_THREAD, threads)
    ]
    threads.close()
    assert losses[1] == pytest.approx(losses[0], abs=2e-6)
    assert shared == pytest.approx(alone, abs=2e-6)
    assert windows[1] == pytest.approx(windows[0], abs=2e-6)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("length", [40, 41, 100])
def test_windows_start_cold(length: int) -> None:
    ids = LONG_IDS[:length]
    losses = [
        loss
        for start in range(0, length - 20, 20)
        for loss in losses_in_order(trained(), ids[start : start + 21])
    ]
    found = run_to_end(evaluation.windowed(trained(), ids, window=20, batch=2))
    assert found == pytest.approx(np.mean(losses), abs=1e-5)


def test_windows_of_the_notebook_score_their_last_character() -> None:
    ids = LONG_IDS[:80]
    losses = [losses_in_order(trained(), ids[i : i + 13])[-1] for i in range(0, 80 - 12, 3)]
    found = run_to_end(
        evaluation.windowed(trained(), ids, window=12, stride=3, last_only=True, batch=5)
    )
    assert found == pytest.approx(np.mean(losses), abs=1e-5)


def test_a_text_shorter_than_a_window_is_one_window() -> None:
    ids = LONG_IDS[:30]
    found = run_to_end(evaluation.windowed(trained(), ids, window=256))
    assert found == pytest.approx(np.mean(losses_in_order(trained(), ids)), abs=1e-5)


def test_the_done_part_grows_to_one() -> None:
    for scoring in (
        evaluation.stateful(trained(), LONG_IDS, streams=4),
        evaluation.windowed(trained(), LONG_IDS, batch=8),
    ):
        parts = list(scoring)
        assert len(parts) > 1
        assert parts == sorted(parts)
        assert parts[-1] == 1.0


@pytest.mark.parametrize("length", [0, 1])
def test_less_than_two_characters_cannot_be_scored(length: int) -> None:
    for scoring in (evaluation.stateful, evaluation.windowed):
        with pytest.raises(ModelError, match="give a longer text"):
            run_to_end(scoring(trained(), LONG_IDS[:length]))


@pytest.mark.parametrize("training", [True, False])
def test_scoring_leaves_the_networks_mode_and_gradients_alone(training: bool) -> None:
    network = make_network(dataclasses.replace(TINY_MODEL, dropout=0.5)).train(training)
    scoring = evaluation.stateful(network, LONG_IDS[:600])
    first = next(scoring)
    assert 0 < first < 1
    assert network.training is training, "also between two units of work"
    run_to_end(scoring)
    assert network.training is training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_checkpoint_is_scored_by_both_protocols() -> None:
    ids = LONG_IDS[:700]
    scores = evaluate(make_checkpoint(), ids)
    network = make_network(TINY_MODEL)
    assert scores.characters == 699
    assert scores.nats_per_character == pytest.approx(
        np.mean(losses_in_order(network, ids)), abs=1e-5
    )
    assert scores.windowed_nats_per_character == pytest.approx(
        run_to_end(evaluation.windowed(network, ids, window=256))
    )
    assert scores.windowed_nats_per_character != scores.nats_per_character
