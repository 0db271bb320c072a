"""Single steps: against a hand-written loop, and under the guard."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from model_fixtures import TINY_MODEL, TINY_TRAINING, VOCABULARY
from network_fixtures import TEXT_IDS, fingerprint, fresh_network, make_trainer
from torch import Tensor
from torch.nn import functional

from model.config import ModelConfig, TrainingConfig
from model.data.batches import make_batches
from model.errors import TrainingDiverged
from model.presets import PRESETS
from model.training.divergence_guard import Verdict
from model.training.trainer import Trainer

PLAIN = dataclasses.replace(TINY_TRAINING, reset_probability=0.0, clip=0.05, epochs=3)
NOTEBOOK = dataclasses.replace(
    PRESETS["notebook"].training, batch=16, sequence=12, device="cpu", precision="fp32", threads=1
)
ONE_HOT = ModelConfig(hidden=8, embedding=0)


def losses_of(trainer: Trainer, steps: int) -> list[float]:
    return [trainer.step(0.0).loss for _ in range(steps)]


def losses_by_hand(training: TrainingConfig, model: ModelConfig, steps: int) -> Iterator[float]:
    """The same training in the plainest words there are."""
    network = fresh_network(model, training.seed).train()
    batches = make_batches(TEXT_IDS, training, subject="text")
    optimiser: torch.optim.Optimizer
    if training.optimiser == "rmsprop":
        optimiser = torch.optim.RMSprop(network.parameters(), lr=0.01, alpha=0.9, eps=1e-7)
    else:
        groups: list[dict[str, Any]] = [
            {"params": [p for p in network.parameters() if p.ndim > 1]},
            {"params": [p for p in network.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(
            groups,
            betas=(0.9, 0.99),
            weight_decay=training.weight_decay,
        )
    planned = (training.epochs or 0) * batches.steps_per_epoch
    state = None
    for step in range(steps):
        batch = batches.next()
        if batch.starts_epoch:
            state = None
        outputs, (hidden, cell) = network(torch.from_numpy(batch.inputs), state)
        state = (hidden.detach(), cell.detach())
        targets = torch.from_numpy(batch.targets)
        if training.scoring == "every":
            losses = [
                functional.cross_entropy(network.logits(outputs[t]), targets[t])
                for t in range(training.sequence)
            ]
            loss = torch.stack(losses).mean()
        else:
            loss = functional.cross_entropy(network.logits(outputs[-1]), targets)
            state = None
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if training.clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip)
        if training.optimiser == "adamw":
            warm = max((step + 1) / training.warmup_steps, step / planned / 0.05)
            warm = min(1.0, warm)  # a twentieth of the plan at most
            cosine = (1 + math.cos(math.pi * step / planned)) / 2
            for group in optimiser.param_groups:
                group["lr"] = training.learning_rate * warm * (0.02 + 0.98 * cosine)
        optimiser.step()
        yield loss.item()


def test_it_equals_a_hand_written_loop_that_carries_the_state() -> None:
    trainer = make_trainer(PLAIN)
    steps = 2 * trainer.schedule.steps_per_epoch + 3
    expected = list(losses_by_hand(PLAIN, TINY_MODEL, steps))
    assert losses_of(trainer, steps) == pytest.approx(expected, rel=1e-4)


def test_it_equals_a_hand_written_loop_in_the_notebooks_way() -> None:
    trainer = make_trainer(NOTEBOOK, ONE_HOT)
    steps = trainer.schedule.steps_per_epoch + 3
    expected = list(losses_by_hand(NOTEBOOK, ONE_HOT, steps))
    assert losses_of(trainer, steps) == pytest.approx(expected, rel=1e-4)
    assert "state.hidden" not in trainer.tensors()


def test_the_hand_written_loop_tells_a_cold_state_from_a_carried_one() -> None:
    carried = losses_of(make_trainer(PLAIN), 8)
    cold = losses_of(make_trainer(dataclasses.replace(PLAIN, reset_probability=1.0)), 8)
    assert carried[0] == cold[0]
    assert carried[1:] != pytest.approx(cold[1:], rel=1e-3)


@pytest.mark.parametrize(
    ("training", "model"),
    [(TINY_TRAINING, TINY_MODEL), (NOTEBOOK, ONE_HOT)],
    ids=["ours", "notebook"],
)
def test_the_loss_falls_on_a_tiny_text(training: TrainingConfig, model: ModelConfig) -> None:
    trainer = make_trainer(dataclasses.replace(training, epochs=20), model)
    losses = losses_of(trainer, 120)
    assert losses[0] == pytest.approx(math.log(len(VOCABULARY)), rel=0.2)
    assert np.mean(losses[-10:]) < 0.75 * losses[0]


def test_the_carried_state_is_detached() -> None:
    trainer = make_trainer()
    trainer.step(0.0)
    assert trainer._state is not None
    assert not any(part.requires_grad for part in trainer._state)


def test_the_carried_state_is_dropped_where_an_epoch_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = make_trainer(PLAIN)
    cold: list[bool] = []
    compute = trainer._workers.compute

    def watched(inputs: Tensor, targets: Tensor, state: Any, *rest: Any, **named: Any) -> Any:
        cold.append(not state[0].any())
        return compute(inputs, targets, state, *rest, **named)

    monkeypatch.setattr(trainer._workers, "compute", watched)
    for _ in range(2 * trainer.schedule.steps_per_epoch):
        trainer.step(0.0)
    starts = [index for index, was_cold in enumerate(cold) if was_cold]
    assert starts == [0, trainer.schedule.steps_per_epoch]


def test_single_streams_are_reset_and_the_others_left() -> None:
    trainer = make_trainer(dataclasses.replace(PLAIN, reset_probability=0.5))
    state = (torch.ones(1, 400, 8), torch.ones(1, 400, 8))
    hidden, cell = trainer._with_some_streams_reset(state, 400)
    assert torch.equal(hidden, cell)
    assert torch.equal(hidden.amin(2), hidden.amax(2)), "a stream is reset as a whole"
    assert 120 < float(hidden[0, :, 0].sum()) < 280


def test_gradients_are_clipped_to_the_global_norm() -> None:
    for clip, largest in ((0.05, 0.05), (1e3, None), (0.0, None)):
        trainer = make_trainer(dataclasses.replace(PLAIN, clip=clip))
        result = trainer.step(0.0)
        squares = [
            float((p.grad**2).sum()) for p in trainer.network.parameters() if p.grad is not None
        ]
        assert result.gradient_norm > 0.05
        assert math.sqrt(sum(squares)) == pytest.approx(largest or result.gradient_norm, rel=1e-3)


def test_a_step_reports_what_it_did() -> None:
    trainer = make_trainer(PLAIN)
    result = trainer.step(0.0)
    assert result.learning_rate == trainer.schedule.learning_rate(0, 0.0)
    assert result.characters == 4 * 16
    assert result.verdict is Verdict.APPLY
    assert trainer.step_count == 1


# --- the guard ----------------------------------------------------------------------------------


def spoil_loss(trainer: Trainer, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = trainer._gradients
    monkeypatch.setattr(trainer, "_gradients", lambda batch: gradients(batch) * value)


def spoil_gradient(trainer: Trainer, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(gradient: Tensor) -> Tensor:
        spoilt = gradient.clone()
        spoilt[0] = value
        return spoilt

    handle = trainer.network.head.bias.register_hook(spoil)  # type: ignore[no-untyped-call]
    monkeypatch.setattr(trainer, "unspoil", handle.remove, raising=False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("spoil", [spoil_loss, spoil_gradient])
def test_a_step_that_is_not_finite_changes_no_weight(
    spoil: object, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer()
    losses_of(trainer, 3)
    before, moments = fingerprint(trainer), trainer.tensors()
    with monkeypatch.context() as patch:
        spoil(trainer, value, patch)  # type: ignore[operator]
        result = trainer.step(0.0)
    assert result.verdict is Verdict.SKIP
    assert fingerprint(trainer) == before
    for name, tensor in trainer.tensors().items():
        if name.startswith("optimiser."):
            assert np.array_equal(tensor, moments[name])
    assert trainer.step_count == 4
    assert "state.hidden" not in trainer.tensors(), "a state that may be spoilt is not carried"


def test_the_step_after_a_skipped_one_learns_again(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer()
    with monkeypatch.context() as patch:
        spoil_loss(trainer, math.nan, patch)
        trainer.step(0.0)
    before = fingerprint(trainer)
    assert trainer.step(0.0).verdict is Verdict.APPLY
    assert fingerprint(trainer) != before


def test_three_in_a_row_go_back_to_the_last_good_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer()
    losses_of(trainer, 3)
    good = fingerprint(trainer)
    trainer.save_rollback_point()
    losses_of(trainer, 3)
    assert fingerprint(trainer) != good
    with monkeypatch.context() as patch:
        spoil_loss(trainer, math.nan, patch)
        verdicts = [trainer.step(0.0).verdict for _ in range(3)]
    assert verdicts == [Verdict.SKIP, Verdict.SKIP, Verdict.ROLL_BACK]
    assert fingerprint(trainer) == good
    assert trainer.step_count == 9
    result = trainer.step(0.0)
    assert result.learning_rate == trainer.schedule.learning_rate(9, 0.0) / 2


def test_weights_that_overflowed_are_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer()
    trainer.save_rollback_point()
    good = fingerprint(trainer)
    with torch.no_grad():
        trainer.network.head.weight[0, 0] = math.nan
    assert trainer.step(0.0).verdict is Verdict.ROLL_BACK
    assert fingerprint(trainer) == good
    assert trainer.reason == "the weights are not finite"


def test_after_three_roll_backs_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer()
    trainer.save_rollback_point()
    spoil_loss(trainer, math.inf, monkeypatch)
    before = fingerprint(trainer)
    for _ in range(11):
        trainer.step(0.0)
    with pytest.raises(TrainingDiverged, match=r"three roll-backs; .*--learning-rate"):
        trainer.step(0.0)
    assert trainer.step_count == 12
    assert fingerprint(trainer) == before


def test_its_tensors_are_copies() -> None:
    trainer = make_trainer()
    trainer.step(0.0)
    tensors = trainer.tensors()
    kept = {name: value.copy() for name, value in tensors.items()}
    losses_of(trainer, 3)
    assert all(np.array_equal(tensors[name], kept[name]) for name in kept)
