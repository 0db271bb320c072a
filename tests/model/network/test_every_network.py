"""What holds for every network of the table: it writes as it was trained, resumes and mixes.

A further network is tested here by its row of `NETWORKS` alone.
"""

from __future__ import annotations

import dataclasses
import math
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_fixtures import (
    TEXT,
    TINY_MODEL,
    TINY_TRAINING,
    VOCABULARY,
    make_request,
    random_weights,
)
from network_fixtures import TEXT_IDS

from corpus import Vocabulary
from model.config import NETWORKS, ModelConfig, SamplingConfig
from model.errors import CheckpointError
from model.evaluation.hidden_units import activations_of
from model.evaluation.scoring import run_to_end, stateful
from model.events import StepFinished
from model.kernels.cpu import HAS_AMX
from model.network.character_network import CharacterNetwork, State
from model.network.dropout import draw_masks
from model.network.make import make_network
from model.network.parameters import parameter_shapes, weight_snapshot
from model.network.published import PublishedWeights
from model.network.snapshot import WeightSnapshot
from model.plan.ladder import plan_for
from model.plan.machine_speed import MachineSpeed
from model.presets import PRESETS
from model.runs.checkpoint import Checkpoint
from model.runs.folder import RunFolder
from model.sampling.sampler import Sampler
from model.sampling.stream import CharacterStream
from model.steppers.mixture import mixture
from model.steppers.network_steppers import network_batch_stepper, network_stepper
from model.training.controls import TrainingControls
from model.training.engines import possible_engines
from model.training.training_run import TrainingRun

every_network = pytest.mark.parametrize("kind", NETWORKS)
IDS = VOCABULARY.encode(TEXT[:80]).astype(np.int64)


@pytest.fixture(params=[(1, 4), (2, 0)], ids=["one layer", "two layers, one-hot"])
def shape(request: pytest.FixtureRequest) -> dict[str, int]:
    layers, embedding = request.param
    return {"hidden": 8, "layers": layers, "embedding": embedding}


def network_of(model: ModelConfig, seed: int = 0) -> CharacterNetwork:
    network = make_network(model, len(VOCABULARY)).eval()
    network.load_arrays(random_weights(model, seed=seed))
    return network


def snapshot_of(kind: str, seed: int = 0) -> WeightSnapshot:
    model = dataclasses.replace(TINY_MODEL, network=kind)
    return weight_snapshot(model, random_weights(model, seed=seed), step=1)


def logits_of(network: CharacterNetwork, ids: Any, state: State | None = None) -> Any:
    with torch.no_grad():
        outputs, after = network(torch.from_numpy(ids), state)
        return network.logits(outputs).numpy(), after


@every_network
def test_it_writes_as_it_was_trained(kind: str, shape: dict[str, int]) -> None:
    model = ModelConfig(network=kind, **shape)
    network = network_of(model)
    weights = weight_snapshot(model, random_weights(model), step=1)
    both = np.stack([IDS[:60], IDS[20:]], axis=1)
    expected, _ = logits_of(network, both)
    alone, beside = network_stepper(weights), network_batch_stepper(weights, 2)
    for place, symbols in enumerate(both):
        np.testing.assert_allclose(
            alone.prime([int(symbols[0])]), expected[place, 0], atol=2e-5, rtol=1e-4
        )
        np.testing.assert_allclose(beside.prime([symbols]).T, expected[place], atol=2e-5, rtol=1e-4)


@every_network
def test_a_sequence_computes_the_same_in_one_piece_and_in_several(
    kind: str, shape: dict[str, int]
) -> None:
    network = network_of(ModelConfig(network=kind, **shape))
    ids = torch.from_numpy(np.stack([IDS, IDS[::-1]], axis=1).copy())
    whole, _ = network(ids, None)
    state, pieces = network.initial_state(2), []
    for piece in torch.split(ids, [3, 40, 37]):
        outputs, state = network.training_forward(piece, state, None, "torch", torch.float32)
        pieces.append(outputs)
    torch.testing.assert_close(torch.cat(pieces), whole)
    assert [part.shape for part in state] == [part.shape for part in network.initial_state(2)]


@every_network
def test_nothing_is_dropped_outside_training_and_all_weights_learn(kind: str) -> None:
    model = dataclasses.replace(TINY_MODEL, network=kind, dropout=0.5, layers=2)
    training = dataclasses.replace(TINY_TRAINING, embedding_dropout=0.4, weight_dropout=0.4)
    network = network_of(model)
    torch.manual_seed(0)
    masks = draw_masks(
        model, training, batch=2, width=network.input_width, device=torch.device("cpu")
    )
    ids = torch.from_numpy(IDS[:, None].repeat(2, axis=1))
    dropped, _ = network.training_forward(
        ids, network.initial_state(2), masks, "torch", torch.float32
    )
    kept, _ = network(ids, None)
    assert not torch.allclose(dropped[:, 0], kept[:, 0], atol=1e-3)
    assert not torch.allclose(dropped[:, 0], dropped[:, 1], atol=1e-3), "each stream drops its own"
    network.logits(dropped).square().sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@every_network
def test_states_are_restored_and_new_weights_go_on(kind: str) -> None:
    alone, beside = network_stepper(snapshot_of(kind)), network_batch_stepper(snapshot_of(kind), 3)
    alone.prime(IDS[:50].tolist())
    beside.prime([np.full(3, symbol) for symbol in IDS[:50]])
    state, states = alone.state, tuple(part.copy() for part in beside.state)
    assert {part.shape[-1] for part in states} == {3}
    first, many = alone.prime([1, 2]).copy(), beside.prime([np.arange(3)]).copy()
    alone.reset()
    assert not np.allclose(alone.prime([1, 2]), first, atol=1e-4), "the state mattered"
    alone.state, beside.state = state, states
    np.testing.assert_array_equal(alone.prime([1, 2]), first)
    np.testing.assert_array_equal(beside.prime([np.arange(3)]), many)
    alone.adopt(snapshot_of(kind, seed=1))
    assert not np.allclose(alone.prime([1]), first, atol=1e-4)
    other = dataclasses.replace(TINY_MODEL, network=kind, hidden=9)
    with pytest.raises(ValueError, match="another shape"):
        alone.adopt(weight_snapshot(other, random_weights(other), step=0))


@every_network
def test_a_stream_forks_and_returns_and_a_state_that_overflowed_is_left(kind: str) -> None:
    stream = CharacterStream(snapshot_of(kind), VOCABULARY, sampling=SamplingConfig(), seed=3)
    assert stream.has_unit(0, 7)
    assert not stream.has_unit(1, 0)
    stream.watched = (0, 2)
    written = [stream.step() for _ in range(60)]
    assert all(-1 <= character.activation <= 1 for character in written if character.activation)
    assert stream.fork(45, "\n")
    assert stream.return_to_trunk() is not None
    assert stream.fork(45, written[15].character)
    again = [stream.step().character for _ in range(44)]
    assert again == [character.character for character in written[16:]]
    spoilt = random_weights(dataclasses.replace(TINY_MODEL, network=kind))
    spoilt["embedding.weight"][:] = np.nan
    model = dataclasses.replace(TINY_MODEL, network=kind)
    stream.snapshot = weight_snapshot(model, spoilt, step=2)
    stream.step()
    stream.step()
    stream.snapshot = snapshot_of(kind)
    stream.step()
    assert np.isfinite(stream.step().entropy)


@every_network
def test_texts_have_the_same_bits_alone_and_beside_others(kind: str) -> None:
    def texts(seeds: list[int]) -> list[list[int]]:
        sampler = Sampler(
            snapshot_of(kind),
            VOCABULARY,
            sampling=SamplingConfig(temperature=0.8),
            seeds=seeds,
            prompt="the ",
            numpy_characters=10**6,
        )
        with closing(sampler):
            return [row.tolist() for row in sampler.write(16)[0].T]

    many = texts(list(range(10)))
    assert texts([3]) == [many[3]]
    assert len({tuple(text) for text in many}) == 10


@every_network
def test_it_writes_one_text_with_a_model_of_another_network_and_other_symbols(kind: str) -> None:
    letters = Vocabulary((*VOCABULARY.symbols[:-1], "é"))
    mixed = mixture(
        PublishedWeights(snapshot=snapshot_of(kind), vocabulary=VOCABULARY),
        PublishedWeights(snapshot=snapshot_of("lstm"), vocabulary=letters),
        0.5,
    )
    stream = CharacterStream(
        mixed.snapshot, mixed.vocabulary, sampling=SamplingConfig(), seed=3, prompt="th"
    )
    alone = "".join(stream.step().character for _ in range(60))
    assert "é" in alone
    sampler = Sampler(
        mixed.snapshot,
        mixed.vocabulary,
        sampling=SamplingConfig(),
        seeds=[3, 4],
        prompt="th",
    )
    with closing(sampler):
        ids = np.concatenate([sampler.write(16)[0] for _ in range(3)])
    assert mixed.vocabulary.decode(ids[:, 0]) == alone[: len(ids)]


@every_network
def test_only_an_lstm_has_compiled_layers(kind: str) -> None:
    model = dataclasses.replace(TINY_MODEL, network=kind)
    training = dataclasses.replace(TINY_TRAINING, threads=0, precision="auto")
    kinds = {each.layer for each in possible_engines(training, torch.device("cpu"), model=model)}
    # Beside a step only AMX gains by a sequence.
    compiled = {"sequence", "step"} if HAS_AMX else {"step"}
    expected = {"lstm": {"torch", *compiled}, "rms-lstm": compiled}
    assert kinds == expected.get(kind, {"torch"})


@every_network
def test_it_is_scored_alike_in_both_ways_where_a_window_holds_all(kind: str) -> None:
    network = network_of(dataclasses.replace(TINY_MODEL, network=kind))
    losses = np.zeros(len(TEXT_IDS) - 1, np.float32)
    mean = run_to_end(stateful(network, TEXT_IDS, losses=losses))
    assert mean == pytest.approx(losses.mean(), rel=1e-4)
    assert activations_of(snapshot_of(kind), IDS).shape == (80, 1, 8)


def train(
    folder: Path, kind: str, *, resume: bool = False, until: int | None = None
) -> list[float]:
    """Trains a real run, resumes it if asked, stops after step `until`; returns the losses."""
    controls, losses = TrainingControls(), []
    request = make_request(
        folder,
        model=dataclasses.replace(TINY_MODEL, network=kind, dropout=0.2),
        resume=resume,
        weight_dropout=0.2,
        reset_probability=0.3,
        sample_length=2,
        epochs=1,
    )
    for event in TrainingRun(request, controls).events():
        if isinstance(event, StepFinished):
            losses.append(event.loss)
            if event.step == until:
                controls.stop(hurry=True)
    return losses


def latest(folder: Path) -> Checkpoint:
    return RunFolder(folder / "runs" / "tiny").checkpoints.load_latest(pytest.fail)


@every_network
def test_a_run_learns_goes_on_exactly_and_keeps_its_network(kind: str, tmp_path: Path) -> None:
    straight = train(tmp_path / "straight", kind)
    assert np.mean(straight[-3:]) < 0.95 * straight[0]
    assert train(tmp_path / "split", kind, until=9) == straight[:9]
    assert train(tmp_path / "split", kind, resume=True) == straight[9:]
    one, other = latest(tmp_path / "straight"), latest(tmp_path / "split")
    assert {name: value.tobytes() for name, value in one.tensors.items()} == {
        name: value.tobytes() for name, value in other.tensors.items()
    }
    assert one.metadata.model.network == kind
    described = RunFolder(tmp_path / "split" / "runs" / "tiny").description()
    assert described["model"]["network"] == kind
    asked = make_request(tmp_path / "split", resume=True, overrides={"network": "other"})
    with pytest.raises(CheckpointError, match=f"has network {kind}, but other was requested"):
        list(TrainingRun(asked, TrainingControls()).events())


@every_network
def test_presets_and_plans_cost_as_much_as_those_of_the_lstm(kind: str) -> None:
    outer = ("head", "embedding", "inputs")

    def products(model: ModelConfig) -> int:
        """Counts the multiplications beside those of the input and of the logits."""
        shapes = parameter_shapes(model, 80).items()
        return sum(
            math.prod(shape)
            for name, shape in shapes
            if not name.startswith(outer) and "_ih_l0" not in name
        )

    for preset in PRESETS.values():
        scaled = preset.of_network(kind)
        assert products(scaled.model) == pytest.approx(products(preset.model), rel=0.2)
        assert scaled.model.title.endswith(f"{NETWORKS[kind].title}({scaled.model.hidden})")
    plan = plan_for(
        MachineSpeed({128: 1e5, 512: 2e4}, network=kind),
        characters=10**6,
        symbols=65,
        model=ModelConfig(network=kind),
        training=PRESETS["auto"].training,
        chosen=frozenset(["network"]),
    )
    assert plan.model.network == kind
    assert products(plan.model) == pytest.approx(products(ModelConfig(hidden=384)), rel=0.1)
    assert plan.sentence.startswith(f"{NETWORKS[kind].title}({plan.model.hidden}), 5 min")
