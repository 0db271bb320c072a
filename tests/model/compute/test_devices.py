"""What a device with a queue does, on every device that this machine has, the CPU among them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from device_fixtures import DROPPING, PLAIN, TOLERANCE, WINDOWS, every_device, on, trainer_on
from network_fixtures import TEXT_IDS, make_network

from model.compute.device import Machine
from model.compute.engine import Engine
from model.compute.host_copy import HostCopy
from model.config import ModelConfig, TrainingConfig
from model.data.batches import make_batches
from model.network.dropout import draw_masks
from model.network.lstm import CharacterLSTM
from model.network.pending_snapshot import PendingSnapshot
from model.network.snapshot import LstmSnapshot
from model.training.device_batches import DeviceBatches
from model.training.divergence_guard import Verdict
from model.training.gradients import GradientWorkers


@every_device
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("training", [PLAIN, WINDOWS], ids=["streams", "windows"])
def test_a_batch_gathered_on_the_device_is_the_batch(
    name: str, dtype: npt.DTypeLike, training: TrainingConfig
) -> None:
    ids = TEXT_IDS.astype(dtype)
    held = DeviceBatches(on(name))
    brought = DeviceBatches(dataclasses.replace(on(name), holds_text=False))
    batches = make_batches(ids, training, subject="text")
    for _ in range(5):
        batch = batches.next()
        for reader in (held, brought):
            inputs, targets = reader.read(batch, slice(1, 3))
            assert inputs.dtype == targets.dtype == torch.int64
            assert np.array_equal(inputs.cpu().numpy(), batch.inputs[:, 1:3])
            assert np.array_equal(targets.cpu().numpy(), batch.targets[..., 1:3])


def test_a_text_that_does_not_fit_is_brought_batch_by_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = DeviceBatches(on("cpu"))
    monkeypatch.setattr(reader, "_room", lambda: len(TEXT_IDS) - 1.0)
    batch = make_batches(TEXT_IDS, PLAIN, subject="text").next()
    assert np.array_equal(reader.read(batch, slice(0, 4))[0].numpy(), batch.inputs)
    assert reader._text is None


@every_device
def test_a_copy_is_what_the_tensors_were_when_it_was_begun(name: str) -> None:
    tensors = {"a": torch.arange(5.0, device=name), "b": torch.ones(2, 3, device=name)}
    copy = HostCopy(tensors)
    for tensor in tensors.values():
        tensor.zero_()
    arrays = copy.arrays()
    assert copy.ready
    assert arrays["a"].tolist() == [0, 1, 2, 3, 4]
    assert arrays["b"].tolist() == [[1, 1, 1], [1, 1, 1]]


@every_device
def test_a_snapshot_on_its_way_does_not_see_later_steps(name: str) -> None:
    network = make_network().to(name)
    kept = network.head.bias.detach().cpu().clone().numpy()
    pending = PendingSnapshot(network, 7)
    with torch.no_grad():
        network.head.bias.fill_(9)
    snapshot = pending.snapshot()
    assert isinstance(snapshot, LstmSnapshot)
    assert snapshot.step == 7
    assert np.array_equal(snapshot.head_bias, kept)


@every_device
@pytest.mark.parametrize("training", [PLAIN, WINDOWS], ids=["streams", "windows"])
def test_figures_read_late_are_those_of_the_step_before_and_the_weights_are_the_same(
    name: str, training: TrainingConfig
) -> None:
    plain = trainer_on(on("cpu", queues=False, layer="torch"), training)
    at_once = [plain.step(0.0) for _ in range(12)]
    queued = trainer_on(on(name), training)
    late = [queued.step(0.0) for _ in range(12)]
    assert [result.step for result in at_once] == list(range(1, 13))
    assert [result.step for result in late] == [1, 1, *range(2, 12)]
    for result in late[1:]:
        other = at_once[result.step - 1]
        assert result.loss == pytest.approx(other.loss, abs=TOLERANCE[name] * 10)
        assert (result.epoch, result.characters) == (other.epoch, other.characters)
        assert result.learning_rate == other.learning_rate
    assert queued.step_count == 12
    for weight, other_weight in zip(
        queued.network.parameters(), plain.network.parameters(), strict=True
    ):
        torch.testing.assert_close(
            weight.detach().cpu(), other_weight.detach(), atol=TOLERANCE[name] * 10, rtol=1e-3
        )


@every_device
def test_numbers_that_are_not_finite_never_reach_the_weights_of_a_device_with_a_queue(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_on(on(name))
    for _ in range(4):
        trainer.step(0.0)
    trainer.save_rollback_point()
    before = {n: w.cpu().clone() for n, w in trainer.network.state_dict().items()}
    compute = trainer._workers.compute

    def poisoned(*arguments: Any, **named: Any) -> Any:
        loss, state = compute(*arguments, **named)
        return loss * float("nan"), (state[0] * float("nan"), state[1])

    monkeypatch.setattr(trainer._workers, "compute", poisoned)
    verdicts = [trainer.step(0.0).verdict for _ in range(3)]
    assert verdicts == [Verdict.APPLY, Verdict.SKIP, Verdict.SKIP]
    for weight_name, weight in trainer.network.state_dict().items():
        assert torch.equal(weight.cpu(), before[weight_name])
    monkeypatch.setattr(trainer._workers, "compute", compute)
    results = [trainer.step(0.0) for _ in range(4)]
    assert results[0].verdict is Verdict.ROLL_BACK, "the third in a row"
    assert all(np.isfinite(result.loss) for result in results[1:])


@every_device
def test_a_checkpoint_has_judged_the_last_step_and_goes_on_exactly(name: str) -> None:
    trainer = trainer_on(on(name))
    for _ in range(9):
        trainer.step(0.0)
    progress, tensors = trainer.progress(), trainer.tensors()
    assert progress["guard"]["steps"] == 9
    following = [trainer.step(0.0) for _ in range(6)]
    other = trainer_on(on(name))
    other.restore(tensors, progress)
    again = [other.step(0.0) for _ in range(6)]
    losses = {result.step: result.loss for result in following}
    for result in again:
        assert result.loss == pytest.approx(losses[result.step], abs=TOLERANCE[name])


@every_device
@pytest.mark.parametrize("training", [PLAIN, DROPPING], ids=["plain", "drop"])
def test_gradients_that_are_small_do_not_vanish_in_16_bits(
    name: str, training: TrainingConfig
) -> None:
    """In float16, whose least number is 6e-8, they would."""
    model = ModelConfig(hidden=32, layers=2, dropout=0.2 if training is DROPPING else 0.0)
    drawn = torch.Generator().manual_seed(1)
    ids = torch.randint(9, (13, 4), generator=drawn).to(name)
    torch.manual_seed(2)
    masks = draw_masks(
        model, training, batch=4, width=model.embedding or 9, device=torch.device(name)
    )

    def gradients(precision: str) -> dict[str, torch.Tensor]:
        engine = Engine(precision=precision, layer="torch")
        machine = Machine(device=torch.device(name), engine=engine)
        torch.manual_seed(3)
        network = CharacterLSTM(model, 9).to(name)
        workers = GradientWorkers(network, machine, "every")
        workers.compute(ids[:-1], ids[1:], network.initial_state(4), masks, total=10**9)
        return {
            n: p.grad.float().cpu() for n, p in network.named_parameters() if p.grad is not None
        }

    exact, rounded = gradients("fp32"), gradients("bf16")
    for weight, gradient in exact.items():
        assert 0 < float(gradient.abs().max()) < 1e-6
        error = float((rounded[weight] - gradient).norm() / gradient.norm())
        assert error < 0.05, weight
