"""ProcessGroup that train together: the exchanges, and that they find what one process finds."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_fixtures import TINY_MODEL, TINY_TRAINING, make_request
from network_fixtures import MACHINE, TEXT_IDS, fresh_network, weights_of
from patience import PATIENCE
from ports import free_port
from rank_threads import in_ranks
from slow_cases import slowly

from model.config import TrainingConfig
from model.data.batches import make_batches
from model.distributed.process_group import ALONE, Instruction, ProcessGroup
from model.errors import ConfigError, RankLost
from model.runs.open import open_run
from model.training.autotune import measure_speed
from model.training.divergence_guard import Verdict
from model.training.trainer import Trainer
from model.training.update import StepResult

PLAIN = dataclasses.replace(TINY_TRAINING, reset_probability=0.0, batch=7, epochs=100)
"""Seven streams: three ranks have shares of different sizes. Nothing is drawn: the ranks of a test
are threads, which share PyTorch's generator."""
WINDOWS = dataclasses.replace(
    PLAIN, scoring="last", window_stride=7, optimiser="rmsprop", weight_decay=0.0
)


def make(training: TrainingConfig, ranks: ProcessGroup = ALONE) -> Trainer:
    network = fresh_network(TINY_MODEL, training.seed)
    batches = make_batches(TEXT_IDS, training, subject="text")
    return Trainer(network, batches, training, MACHINE, ranks)


def steps(trainer: Trainer, count: int) -> list[StepResult]:
    return [trainer.step(0.0) for _ in range(count)]


def test_a_process_alone_exchanges_nothing() -> None:
    agreed = ALONE.broadcast_instruction(Instruction.STEP, 2.5, 15)
    assert (agreed.instruction, agreed.value, agreed.signal) == (Instruction.STEP, 2.5, 15)
    tensor = torch.arange(3.0)
    ALONE.all_reduce(tensor)
    assert tensor.tolist() == [0, 1, 2]
    assert ALONE.broadcast_bytes(b"run") == b"run"
    assert ALONE.all_gather(tensor, 3) is tensor


def test_all_hear_the_leader_and_a_signal_that_one_was_sent() -> None:
    def work(ranks: ProcessGroup) -> Any:
        instruction = Instruction.STEP if ranks.place.leads else None
        first = ranks.broadcast_instruction(instruction, 0.0, 15 if ranks.place.rank == 2 else 0)
        second = ranks.broadcast_instruction(Instruction.END if ranks.place.leads else None, 3.0)
        return first, second

    for first, second in in_ranks(3, work):
        assert (first.instruction, first.value, first.signal) == (Instruction.STEP, 0.0, 15)
        assert (second.instruction, second.value, second.signal) == (Instruction.END, 3.0, 0)


def test_bytes_and_sums_and_parts_reach_every_rank() -> None:
    def work(ranks: ProcessGroup) -> Any:
        rank = ranks.place.rank
        data = ranks.broadcast_bytes(b"the run" if ranks.place.leads else None)
        total = torch.full((2,), float(rank + 1))
        ranks.all_reduce(total)
        own = range(5)[ranks.place.share(5)]
        part = torch.tensor([[[float(stream)] for stream in own]])
        return data, total.tolist(), ranks.all_gather(part, 5)[0, :, 0].tolist()

    for data, total, whole in in_ranks(3, work):
        assert (data, total, whole) == (b"the run", [6, 6], [0, 1, 2, 3, 4])


@pytest.mark.parametrize("size", [2, 3])
def test_sums_of_pieces_are_the_same_in_every_rank(size: int) -> None:
    def work(ranks: ProcessGroup) -> list[list[float]]:
        rank = ranks.place.rank
        found = []
        for turn in range(3):
            pieces = [torch.full((2,), float(rank + 10 * turn)), torch.full((1,), 0.1 * rank)]
            found.append(ranks.all_reduce_many(pieces).tolist())
        return found

    found = in_ranks(size, work)
    assert all(sums == found[0] for sums in found)
    ranks = sum(range(size))
    for turn, sums in enumerate(found[0]):
        assert sums == pytest.approx([ranks + 10 * turn * size] * 2 + [0.1 * ranks])


MEETING = """
import os
import torch
from model.distributed.process_group import ProcessGroup
from model.distributed.rank import rank_from_environment
from model.training.optimiser import AdamW

with ProcessGroup.join(rank_from_environment(os.environ)) as ranks:
    weight = torch.ones(1, requires_grad=True)
    weight.grad = torch.ones(1)
    AdamW([weight], [], learning_rate=0.1, weight_decay=0.0).step()
    for _ in range(300):
        ranks.all_reduce(torch.ones(1000))
"""


@pytest.mark.parametrize("attempt", slowly(range(6), but=2))
def test_processes_that_met_end_without_a_word(attempt: int) -> None:
    """Half of them were aborted while the group's threads outlived the interpreter.

    What the first optimiser of ``torch.optim`` imports kept the group, too.
    """
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEETING],
            env={**os.environ, **meeting, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    ends = [(process.communicate(timeout=PATIENCE)[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * 2, attempt


def test_a_rank_that_never_comes_is_lost_and_not_waited_for_for_ever() -> None:
    def work(ranks: ProcessGroup) -> None:
        if ranks.place.leads:
            ranks.broadcast_instruction(Instruction.STEP)

    with pytest.raises(RankLost, match="process 0 of 2: lost another process"):
        in_ranks(2, work, seconds=1.0)


@pytest.mark.parametrize("training", [PLAIN, WINDOWS], ids=["streams", "windows"])
def test_ranks_follow_the_loss_curve_of_one_process(training: TrainingConfig) -> None:
    alone = make(training)
    count = 2 * alone.schedule.steps_per_epoch + 3
    one = steps(alone, count)

    def work(ranks: ProcessGroup) -> tuple[list[StepResult], Trainer]:
        trainer = make(training, ranks)
        return steps(trainer, count), trainer

    for several, trainer in in_ranks(3, work):
        for mine, other in zip(several, one, strict=True):
            assert mine.loss == pytest.approx(other.loss, abs=1e-4)
            assert mine.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)
            assert mine.characters == other.characters
        for name, weight in weights_of(alone.network).items():
            np.testing.assert_allclose(weights_of(trainer.network)[name], weight, atol=1e-3)


def test_two_ranks_of_32_streams_follow_one_process_of_64_for_200_steps() -> None:
    training = dataclasses.replace(PLAIN, batch=64, sequence=12, epochs=1000)
    one = [result.loss for result in steps(make(training), 200)]

    def work(ranks: ProcessGroup) -> list[float]:
        return [result.loss for result in steps(make(training, ranks), 200)]

    for losses in in_ranks(2, work):
        assert losses == pytest.approx(one, abs=1e-4)
    assert one[-1] < one[0] - 1, "or there would be no curve to follow"


def test_more_ranks_than_streams_are_refused(tmp_path: Path) -> None:
    request = dataclasses.replace(make_request(tmp_path), processes=5)
    with pytest.raises(ConfigError, match=r"--batch: 4 streams .* 5 processes"):
        list(open_run(request, lambda: False, measure_speed))
    assert not (tmp_path / "runs").exists()


def test_the_ranks_weights_are_the_same_to_the_bit() -> None:
    def work(ranks: ProcessGroup) -> dict[str, Any]:
        trainer = make(PLAIN, ranks)
        steps(trainer, 20)
        return weights_of(trainer.network)

    one, other = in_ranks(2, work)
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 3)])
def test_what_so_many_ranks_saved_as_many_others_go_on_with(before: int, after: int) -> None:
    def first(ranks: ProcessGroup) -> tuple[Any, Any, list[float]]:
        trainer = make(PLAIN, ranks)
        steps(trainer, 9)
        tensors, progress = trainer.tensors(), trainer.progress()
        return tensors, progress, [result.loss for result in steps(trainer, 12)]

    tensors, progress, losses = in_ranks(before, first)[0]
    assert tensors["state.hidden"].shape[1] == 7
    assert progress["processes"] == before

    def second(ranks: ProcessGroup) -> list[float]:
        trainer = make(PLAIN, ranks)
        trainer.restore(tensors, progress)
        return [result.loss for result in steps(trainer, 12)]

    for again in in_ranks(after, second):
        assert again == pytest.approx(losses, abs=1e-4)


def test_all_ranks_begin_the_same_student() -> None:
    """It learns from the first one's better weights, and its state goes on with other ranks."""
    taught = dataclasses.replace(PLAIN, teacher_share=0.5)

    def work(ranks: ProcessGroup) -> tuple[dict[str, Any], Any, list[float]]:
        trainer = make(taught, ranks)
        steps(trainer, 5)
        trainer.average_leads = ranks.place.leads  # only that one has averaged weights
        assert trainer.teach()
        trainer.begin_student(0.0)
        losses = [result.loss for result in steps(trainer, 5)]
        return trainer.tensors(), trainer.progress(), losses

    (first, progress, losses), (second, _, others) = in_ranks(2, work)
    assert losses == others
    shared = [name for name in first if name.startswith(("weights.", "teacher.", "state."))]
    assert len([name for name in shared if name.startswith("teacher.")]) > 3
    assert all(np.array_equal(first[name], second[name]) for name in shared)
    alone = make(taught)
    alone.restore(first, progress)
    assert alone.teach()
    again = steps(alone, 3)

    def restored(ranks: ProcessGroup) -> list[float]:
        trainer = make(taught, ranks)
        trainer.restore(first, progress)
        assert trainer.teach()
        return [result.loss for result in steps(trainer, 3)]

    for found in in_ranks(2, restored):
        assert found == pytest.approx([result.loss for result in again], abs=1e-4)


def test_after_an_explosion_all_ranks_go_back_to_what_the_leader_kept() -> None:
    def work(ranks: ProcessGroup) -> tuple[list[Verdict], dict[str, Any], dict[str, Any]]:
        trainer = make(PLAIN, ranks)
        steps(trainer, 5)
        if ranks.place.leads:
            trainer.save_rollback_point()
        good = {name: value.copy() for name, value in weights_of(trainer.network).items()}
        verdicts = [result.verdict for result in steps(trainer, 2)]
        if not ranks.place.leads:
            with torch.no_grad():
                trainer.network.head.bias[0] = float("nan")
        verdicts += [result.verdict for result in steps(trainer, 3)]
        return verdicts, good, weights_of(trainer.network)

    for verdicts, good, now in in_ranks(2, work):
        assert verdicts == [Verdict.APPLY] * 2 + [Verdict.SKIP] * 2 + [Verdict.ROLL_BACK]
        assert all(np.array_equal(good[name], now[name]) for name in good)
