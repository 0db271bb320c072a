"""What a network predicts for a whole text, against one pass over it."""

from __future__ import annotations

import pytest
import torch
from model_fixtures import VOCABULARY, make_text
from network_fixtures import make_network

from model.compute.batch_threads import BatchThreads
from model.errors import ModelError
from model.evaluation.predictions import predictions
from model.evaluation.scoring import PRIMER, cut, run_to_end
from model.network.character_network import CharacterNetwork, State

LONG = VOCABULARY.encode(make_text(5000, seed=3))


@pytest.mark.parametrize("length", [2, 3, 257, 600])
def test_a_short_text_is_read_in_one_pass(length: int) -> None:
    network, ids = make_network(), LONG[:length]
    found = run_to_end(predictions(network, ids))
    assert (found.dtype, found.shape) == (torch.float16, (length - 1, len(VOCABULARY)))
    assert torch.allclose(found.float(), in_one_pass(network, ids), atol=1e-3)


def in_one_pass(network: CharacterNetwork, ids: object) -> torch.Tensor:
    """Returns the probabilities after each character but the last, from a cold start."""
    with torch.no_grad():
        outputs, _ = network(torch.as_tensor(ids).long()[:-1, None])
        return network.logits(outputs[:, 0]).softmax(-1)


def test_the_parts_of_a_long_text_begin_warm() -> None:
    network, threads = make_network(), BatchThreads(2)
    streams, stride = cut(len(LONG), 64)
    assert streams > 1, "or this test would look at nothing"
    found = run_to_end(predictions(network, LONG, threads=threads)).float()
    threads.close()
    assert len(found) == len(LONG) - 1
    for start in range(0, streams * stride, stride):
        before = max(0, start - PRIMER)
        own = in_one_pass(network, LONG[before : start + stride + 1])[start - before :]
        assert torch.allclose(found[start : start + len(own)], own, atol=1e-3)


def test_another_forward_pass_may_be_given() -> None:
    network = make_network()

    def forward(ids: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        outputs, after = network(ids, state)
        return 0 * outputs, after

    found = run_to_end(predictions(network, LONG[:50], forward=forward)).float()
    assert torch.allclose(found, network.head.bias.softmax(-1).expand_as(found), atol=1e-3)


def test_the_done_part_grows_to_one() -> None:
    done = list(predictions(make_network(), LONG))
    assert done == sorted(done)
    assert done[-1] == 1


def test_one_character_has_no_prediction() -> None:
    with pytest.raises(ModelError, match="cannot be scored"):
        run_to_end(predictions(make_network(), LONG[:1]))
