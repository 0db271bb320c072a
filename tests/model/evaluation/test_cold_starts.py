"""Cold starts: a trained network finds its feet, and one that cannot is caught."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
import torch
from model_fixtures import TINY_TRAINING, VOCABULARY, make_text
from network_fixtures import make_network, make_trainer

from model.config import ModelConfig
from model.errors import ModelError
from model.evaluation import scoring as evaluation
from model.evaluation.cold_starts import (
    CHARACTERS_PER_START,
    JUDGED_CHARACTERS,
    ColdStarts,
    cold_starts,
)
from model.network.character_network import CharacterNetwork
from model.network.lstm import CharacterLSTM

IDS = VOCABULARY.encode(make_text(6000, seed=5))


def carried_losses(
    network: CharacterNetwork, ids: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    losses = np.zeros(len(ids) - 1, dtype=np.float32)
    mean = evaluation.run_to_end(evaluation.stateful(network, ids, losses=losses))
    assert losses.mean() == pytest.approx(mean, abs=1e-5)
    return losses


def start_cold(
    network: CharacterNetwork, ids: npt.NDArray[np.uint8], places: int = 1000
) -> ColdStarts:
    return evaluation.run_to_end(
        cold_starts(network, ids, carried_losses(network, ids), places=places)
    )


def latch() -> CharacterLSTM:
    """Returns a network of one unit that predicts well only if it saw character 1 at some time.

    Its cell opens at that character, never closes, and drives the logit of character 2.
    """
    network = CharacterLSTM(ModelConfig(hidden=1, embedding=0), 3).eval()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        parameters = dict(network.lstm.named_parameters())
        inner, bias = parameters["weight_ih_l0"], parameters["bias_ih_l0"]
        inner[0, 1] = 60.0  # the input gate: open at character 1 alone
        inner[2, 1] = 60.0  # the candidate: one
        bias[0], bias[1], bias[3] = -30.0, 30.0, 30.0  # input, forget and output gate
        network.head.weight[2, 0] = 20.0
    return network


def test_a_trained_network_finds_its_feet_at_a_thousand_places() -> None:
    trainer = make_trainer(dataclasses.replace(TINY_TRAINING, epochs=15, reset_probability=0.01))
    for _ in range(200):
        trainer.step(0.0)
    found = start_cold(trainer.network.eval(), IDS)
    assert found.places == 1000
    assert found.lost == 0
    assert abs(found.excess) < 0.05
    assert found.excess <= found.worst_excess < 0.5


def test_a_network_that_must_have_seen_the_beginning_is_lost_everywhere_else() -> None:
    ids = np.full(3000, 2, dtype=np.uint8)
    ids[0] = 1
    found = start_cold(latch(), ids, places=3000)
    assert found.places == len(ids) - CHARACTERS_PER_START
    assert found.lost == found.places - 1, "all but the place that sees the first character"
    assert found.worst_nats_per_character == pytest.approx(np.log(3), abs=1e-3)


def test_a_loss_that_is_not_a_number_counts_as_lost() -> None:
    network = make_network()
    with torch.no_grad():
        network.head.bias[0] = float("nan")
    found = evaluation.run_to_end(
        cold_starts(network, IDS, np.ones(len(IDS) - 1, dtype=np.float32), places=10)
    )
    assert found.lost == 10


def test_the_judged_characters_are_those_at_the_end_of_each_place() -> None:
    network = make_network()
    ids = IDS[: CHARACTERS_PER_START + 1]  # one place: the beginning, which is a cold start itself
    carried = carried_losses(network, ids)
    found = evaluation.run_to_end(cold_starts(network, ids, carried))
    assert found.places == 1
    assert found.excess == pytest.approx(0.0, abs=1e-5)
    assert found.worst_nats_per_character == pytest.approx(
        carried[-JUDGED_CHARACTERS:].mean(), abs=1e-5
    )


@pytest.mark.parametrize("length", [2, 3, 50])
def test_a_short_text_has_one_short_place(length: int) -> None:
    found = start_cold(make_network(), IDS[:length])
    assert (found.places, found.lost) == (1, 0)


def test_places_are_chosen_by_the_seed_and_never_twice() -> None:
    network = make_network()
    carried = carried_losses(network, IDS)
    few, again, other = (
        evaluation.run_to_end(cold_starts(network, IDS, carried, places=20, seed=seed))
        for seed in (1, 1, 2)
    )
    assert few == again
    assert few != other
    everywhere = evaluation.run_to_end(cold_starts(network, IDS[:500], carried, places=10**6))
    assert everywhere.places == 500 - CHARACTERS_PER_START


def test_less_than_two_characters_have_no_place() -> None:
    with pytest.raises(ModelError, match="give a longer text"):
        next(cold_starts(make_network(), IDS[:1], np.zeros(0, dtype=np.float32)))
