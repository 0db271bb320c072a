"""A new network is one module of parameters and layers, and one stepper: here a plain tanh RNN.

``h = tanh(W x + b + U h)`` (Elman 1990). The fixture `tanh_network` adds the rows that a further
kind of network has in the tables. Everything else is the code that trains and samples the LSTM.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from model_fixtures import (
    TEXT,
    TINY_MODEL,
    TINY_TRAINING,
    VOCABULARY,
    make_checkpoint,
    make_request,
)
from network_fixtures import MACHINE, TEXT_IDS
from torch import Tensor, nn
from torch.nn import functional

from model.compute.engine import LayerKind
from model.config import NETWORKS, ModelConfig, SamplingConfig
from model.data.batches import make_batches
from model.errors import CheckpointError
from model.evaluation.scoring import run_to_end, stateful
from model.events import StepFinished
from model.network.character_network import CharacterNetwork, State
from model.network.dropout import DropoutMasks
from model.network.make import CLASSES
from model.network.network_form import NetworkForm, Shapes, Weights
from model.network.parameters import FORMS, initial_parameters
from model.network.snapshot import FloatArray, WeightSnapshot
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import read_checkpoint, write_checkpoint
from model.runs.folder import RunFolder
from model.sampling.sampler import Sampler
from model.sampling.stream import CharacterStream
from model.steppers.network_steppers import STEPPERS
from model.steppers.stepper import StepperState, Symbols
from model.training.controls import TrainingControls
from model.training.trainer import Trainer
from model.training.training_run import TrainingRun

HIDDEN = TINY_MODEL.hidden


def tanh_model() -> ModelConfig:
    return dataclasses.replace(TINY_MODEL, network="tanh")


# --- its form, its snapshot, its layers -----------------------------------------------------------


class TanhForm(NetworkForm):
    def parameter_shapes(self, vocabulary_size: int) -> Shapes:
        hidden = self.model.hidden
        return self.outer_shapes(vocabulary_size) | {
            "inner.weight": (hidden, self.model.embedding),
            "inner.bias": (hidden,),
            "recurrent.weight": (hidden, hidden),
        }

    def state_shapes(self, streams: int) -> Shapes:
        return {"memory": (1, streams, self.model.hidden)}

    @property
    def recurrent_shape(self) -> tuple[int, int]:
        return self.model.hidden, self.model.hidden

    def first_value(
        self, random: np.random.Generator, name: str, shape: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        return random.normal(scale=0.3, size=shape)

    def snapshot(self, weights: Weights, *, step: int, precision: str) -> WeightSnapshot:
        return TanhSnapshot(
            step=step,
            precision=precision,
            table=weights["embedding.weight"] @ weights["inner.weight"].T + weights["inner.bias"],
            recurrent=weights["recurrent.weight"].copy(),
            head=weights["head.weight"].copy(),
            head_bias=weights["head.bias"].copy(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TanhSnapshot(WeightSnapshot):
    table: FloatArray
    """[V, H]: what each character adds, the bias included."""
    recurrent: FloatArray
    head: FloatArray
    head_bias: FloatArray


class TanhNetwork(CharacterNetwork):
    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__(config, vocabulary_size)
        self.inner = nn.Linear(self.input_width, config.hidden)
        self.recurrent = nn.Linear(config.hidden, config.hidden, bias=False)
        self.head = nn.Linear(config.hidden, vocabulary_size)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (memory,) = self.initial_state(ids.shape[1]) if state is None else state
        return self._through(self.embedded(ids), memory[0], self.recurrent.weight)

    def training_forward(
        self,
        ids: Tensor,
        state: State,
        masks: DropoutMasks | None,
        kind: LayerKind,
        products: torch.dtype,
    ) -> tuple[Tensor, State]:
        matrix = self.recurrent.weight
        if masks is None:
            return self._through(self.embedded(ids), state[0][0], matrix)
        recurrent, output = masks.recurrent[0], masks.outputs[0]
        matrix = matrix if recurrent is None else matrix * recurrent
        outputs, after = self._through(self.embedded(ids, masks), state[0][0], matrix)
        return outputs if output is None else outputs * output, after

    def _through(self, inputs: Tensor, memory: Tensor, matrix: Tensor) -> tuple[Tensor, State]:
        outputs = []
        for added in self.inner(inputs):
            memory = torch.tanh(added + functional.linear(memory, matrix))
            outputs.append(memory)
        return torch.stack(outputs), (memory[None],)


# --- one stepper, for one stream and for many -----------------------------------------------------


class TanhStepper:
    def __init__(self, snapshot: WeightSnapshot, streams: int | None = None) -> None:
        self.adopt(snapshot)
        self._memory = np.zeros(HIDDEN if streams is None else (HIDDEN, streams), np.float32)

    def adopt(self, snapshot: WeightSnapshot) -> None:
        assert isinstance(snapshot, TanhSnapshot)
        self._weights = snapshot

    def reset(self) -> None:
        self._memory = np.zeros_like(self._memory)

    def prime(self, ids: Iterable[int] | Iterable[Symbols]) -> FloatArray:
        for symbols in ids:
            added = self._weights.table[symbols].T
            self._memory = np.tanh(added + self._weights.recurrent @ self._memory)
        logits: FloatArray = (self._weights.head @ self._memory).T + self._weights.head_bias
        return logits.T

    @property
    def state(self) -> StepperState:
        return (self._memory[None],)

    @state.setter
    def state(self, state: StepperState) -> None:
        self._memory = state[0][0]

    def outputs(self) -> FloatArray:
        return self._memory[None]


# --- the choices --------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def tanh_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[str, Any]", NETWORKS), "tanh", NETWORKS["lstm"])
    monkeypatch.setitem(cast("dict[str, Any]", FORMS), "tanh", TanhForm)
    monkeypatch.setitem(cast("dict[str, Any]", CLASSES), "tanh", TanhNetwork)
    monkeypatch.setitem(cast("dict[Any, Any]", STEPPERS), TanhSnapshot, (TanhStepper, TanhStepper))


def make_trainer(seed: int = 0, **settings: Any) -> Trainer:
    training = dataclasses.replace(TINY_TRAINING, **settings)
    torch.manual_seed(seed)
    network = TanhNetwork(tanh_model(), len(VOCABULARY))
    network.load_arrays(initial_parameters(tanh_model(), len(VOCABULARY), seed))
    return Trainer(network, make_batches(TEXT_IDS, training, subject="text"), training, MACHINE)


def make_stream(snapshot: WeightSnapshot, *, seed: int = 3) -> CharacterStream:
    return CharacterStream(
        snapshot,
        VOCABULARY,
        sampling=SamplingConfig(temperature=0.8),
        seed=seed,
        prompt="the ",
    )


def train(folder: Path, *, resume: bool = False, until: int | None = None) -> list[float]:
    """Trains a real run, resumes it if asked, stops after step `until`; returns the losses."""
    controls, losses = TrainingControls(), []
    request = make_request(
        folder, model=tanh_model(), resume=resume, weight_dropout=0.2, reset_probability=0.3
    )
    for event in TrainingRun(request, controls).events():
        if isinstance(event, StepFinished):
            losses.append(event.loss)
            if event.step == until:
                controls.stop(hurry=True)
    return losses


def latest(folder: Path) -> Checkpoint:
    return RunFolder(folder / "runs" / "tiny").checkpoints.load_latest(pytest.fail)


# --- the tests ------------------------------------------------------------------------------------


def test_a_trainer_lowers_its_loss() -> None:
    trainer = make_trainer(epochs=10)
    losses = [trainer.step(0.0).loss for _ in range(100)]
    assert np.mean(losses[-5:]) < 0.75 * losses[0]


@pytest.mark.parametrize("optimiser", ["adamw", "rmsprop"])
def test_a_saved_checkpoint_resumes_to_the_same_next_loss(optimiser: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"optimiser": optimiser, "weight_decay": 0.0, "weight_dropout": 0.3}
    trainer = make_trainer(**settings)
    for _ in range(7):
        trainer.step(0.0)
    made = make_checkpoint(trainer.step_count, model=tanh_model(), training=trainer._training)
    progress = {**trainer.progress(), "validation_characters": None}
    metadata = dataclasses.replace(made.metadata, progress=progress)
    write_checkpoint(
        tmp_path / "saved.safetensors", Checkpoint(metadata=metadata, tensors=trainer.tensors())
    )
    expected = [trainer.step(0.0).loss for _ in range(3)]

    saved = read_checkpoint(tmp_path / "saved.safetensors")
    assert [name for name in saved.tensors if name.startswith("state.")] == ["state.memory"]
    other = make_trainer(seed=1, **settings)
    other.restore(saved.tensors, saved.metadata.progress)
    assert [other.step(0.0).loss for _ in range(3)] == expected


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    lstm = make_checkpoint()
    metadata = dataclasses.replace(lstm.metadata, model=tanh_model())
    with pytest.raises(CheckpointError, match="extra tensors"):
        write_checkpoint(
            tmp_path / "lstm.safetensors", dataclasses.replace(lstm, metadata=metadata)
        )


def test_a_whole_run_goes_on_exactly(tmp_path: Path) -> None:
    straight = train(tmp_path / "straight")
    before = train(tmp_path / "split", until=19)
    assert before == straight[:19]
    assert train(tmp_path / "split", resume=True) == straight[19:]
    one, other = latest(tmp_path / "straight"), latest(tmp_path / "split")
    assert {name: value.tobytes() for name, value in one.tensors.items()} == {
        name: value.tobytes() for name, value in other.tensors.items()
    }


def test_samplers_follow_the_network_and_agree() -> None:
    trainer = make_trainer()
    for _ in range(30):
        trainer.step(0.0)
    snapshot = trainer.snapshot()
    ids: npt.NDArray[np.int64] = VOCABULARY.encode(TEXT[:40]).astype(np.int64)
    with torch.no_grad():
        outputs, _ = trainer.best_network(torch.from_numpy(ids)[:, None])
        expected = trainer.best_network.logits(outputs)[-1, 0].numpy()
    np.testing.assert_allclose(TanhStepper(snapshot).prime(ids.tolist()), expected, atol=1e-5)

    alone = [make_stream(snapshot, seed=seed) for seed in (3, 4)]
    written = [[VOCABULARY.id_of(stream.step().character) for _ in range(16)] for stream in alone]
    sampler = Sampler(
        snapshot,
        VOCABULARY,
        sampling=SamplingConfig(temperature=0.8),
        seeds=[3, 4],
        prompt="the ",
        numpy_characters=0,
    )
    assert sampler.write(50)[0].T.tolist() == written, "nothing is compiled for this network"


def test_a_stream_takes_new_weights_forks_and_returns() -> None:
    trainer = make_trainer()
    stream = make_stream(trainer.snapshot())
    trainer.step(0.0)
    stream.snapshot = trainer.snapshot()
    assert stream.snapshot.step == 1
    assert stream.has_unit(0, HIDDEN - 1)
    assert not stream.has_unit(1, 0)
    stream.watched = (0, 2)
    first = "".join(stream.step().character for _ in range(20))
    activation = stream.step().activation
    assert activation is not None
    assert -1 < activation < 1
    assert stream.fork(21, "\n")
    assert stream.return_to_trunk() is not None
    assert stream.fork(21, first[0])
    assert "".join(stream.step().character for _ in range(19)) == first[1:]


def test_it_is_scored() -> None:
    network = make_trainer().network.eval()
    losses = np.zeros(len(TEXT_IDS) - 1, np.float32)
    assert run_to_end(stateful(network, TEXT_IDS, losses=losses)) == pytest.approx(losses.mean())
