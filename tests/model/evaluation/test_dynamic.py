"""Dynamic evaluation: it learns, it never peeks, and it leaves the trained network alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_fixtures import TINY_MODEL, VOCABULARY, make_text
from network_fixtures import make_network, weights_of

from model.config import NETWORKS, NetworkKind
from model.errors import ModelError
from model.evaluation import scoring as evaluation
from model.evaluation.dynamic import CHUNK, dynamic
from model.evaluation.scoring import run_to_end
from model.network.make import make_network as network_of_kind

IDS = VOCABULARY.encode(make_text(3000, seed=6))


@pytest.mark.parametrize("length", [2, CHUNK, CHUNK + 1, CHUNK + 2, 700])
@pytest.mark.parametrize("kind", NETWORKS)
def test_without_a_rate_it_is_the_stateful_score(kind: NetworkKind, length: int) -> None:
    network = network_of_kind(replace(TINY_MODEL, network=kind), len(VOCABULARY)).eval()
    expected = run_to_end(evaluation.stateful(network, IDS[:length]))
    found = run_to_end(dynamic(network, IDS[:length], rate=0.0, decay=0.0))
    assert found == pytest.approx(expected, abs=1e-5)


def test_it_learns_from_what_it_has_scored() -> None:
    network = make_network(TINY_MODEL)
    assert run_to_end(dynamic(network, IDS)) < run_to_end(evaluation.stateful(network, IDS)) - 0.1


def test_nothing_can_be_learnt_from_the_only_chunk() -> None:
    network = make_network(TINY_MODEL)
    ids = IDS[: CHUNK + 1]
    expected = run_to_end(evaluation.stateful(network, ids))
    assert run_to_end(dynamic(network, ids, rate=0.5)) == pytest.approx(expected, abs=1e-5)


def test_full_decay_forgets_all_but_the_last_update() -> None:
    network = make_network(TINY_MODEL)
    kept = run_to_end(dynamic(network, IDS, decay=1.0))
    assert kept != run_to_end(dynamic(network, IDS, decay=0.0))


def test_the_trained_network_stays_as_it_was() -> None:
    network = make_network(TINY_MODEL)
    before = {name: value.copy() for name, value in weights_of(network).items()}
    run_to_end(dynamic(network, IDS[:500], rate=0.1))
    assert not network.training
    for name, value in weights_of(network).items():
        assert np.array_equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.is_grad_enabled()


def test_the_done_part_grows_to_one() -> None:
    parts = list(dynamic(make_network(TINY_MODEL), IDS[:500]))
    assert parts == sorted(parts)
    assert parts[-1] == 1.0


def test_less_than_two_characters_cannot_be_scored() -> None:
    with pytest.raises(ModelError, match="give a longer text"):
        next(dynamic(make_network(TINY_MODEL), IDS[:1]))
