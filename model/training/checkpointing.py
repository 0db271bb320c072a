"""Makes checkpoints of a run in memory, and a trainer from a resumed run. PyTorch."""

from __future__ import annotations

import dataclasses

import torch

from model.compute.device import Machine
from model.compute.engine import Engine
from model.distributed.process_group import ProcessGroup
from model.network.make import make_network
from model.runs.checkpoint import Checkpoint, CheckpointMetadata
from model.runs.checkpoint_form import STATE_PREFIX
from model.runs.open import OpenedRun
from model.training.trainer import Trainer


def checkpoint_of(
    run: OpenedRun,
    trainer: Trainer,
    *,
    nats: float | None,
    best_nats: float | None,
    seconds: float,
    scored: int | None = None,
    carried: bool = True,
) -> Checkpoint:
    """Returns a checkpoint from which the run continues exactly.

    Args:
        run: the run.
        trainer: its trainer, between two steps.
        nats: validation loss of the current weights, nats per character; None if unknown.
        best_nats: lowest validation loss of the run so far, nats per character.
        seconds: training time so far.
        scored: maximum characters that each validation scores; None until that is decided.
        carried: whether to save the carried state. Every process holds a part of it.
    """
    metadata = CheckpointMetadata(
        run=run.folder.name,
        step=trainer.step_count,
        epoch=trainer.epoch,
        nats_per_character=nats,
        best_nats_per_character=best_nats,
        seconds=seconds,
        preset=run.preset,
        model=run.model,
        training=run.training,
        vocabulary=run.corpus.vocabulary,
        source=run.source,
        progress={**trainer.progress(), "validation_characters": scored},
    )
    return Checkpoint(metadata=metadata, tensors=trainer.tensors(carried=carried))


def starting_checkpoint(run: OpenedRun, trainer: Trainer, seconds: float) -> Checkpoint:
    """Returns the checkpoint that hands a run to other processes before its first step.

    Args:
        run: the run.
        trainer: its trainer, before the first step.
        seconds: training time so far.
    """
    start = checkpoint_of(run, trainer, nats=None, best_nats=None, seconds=seconds, carried=False)
    tensors = dict(start.tensors)
    if run.resumed is not None and run.goes_on_in_its_epoch:
        saved = run.resumed.tensors
        tensors |= {name: saved[name] for name in saved if name.startswith(STATE_PREFIX)}
    return dataclasses.replace(start, tensors=tensors)


def trainer_of(run: OpenedRun, machine: Machine, ranks: ProcessGroup) -> Trainer:
    """Returns a trainer with a new run's first weights, or with a resumed run's saved state."""
    torch.manual_seed(run.training.seed)
    network = make_network(run.model, len(run.corpus.vocabulary))
    network.load_arrays(run.weights)
    trainer = Trainer(network, run.batches, run.training, machine, ranks)
    if run.resumed is not None:
        metadata = run.resumed.metadata
        if run.weights_only:
            trainer.step_count = metadata.step
        else:
            trainer.restore(
                run.resumed.tensors, metadata.progress, same_text=run.goes_on_in_its_epoch
            )
    return trainer


def engine_of(run: OpenedRun, processes: int) -> Engine | None:
    """Returns the engine of a resumed run, so that its sums are rounded as before.

    Args:
        run: the run.
        processes: number of processes that will train it.

    Returns:
        None for a new run, if the checkpoint names no engine or one that this version does not
        have, or if another number of processes saved it. An engine is chosen for one number of
        processes.
    """
    if run.resumed is None or processes_of(run) != processes:
        return None
    record = run.resumed.metadata.progress.get("engine")
    try:
        return None if record is None else Engine.from_record(record)
    except KeyError:
        return None


def processes_of(run: OpenedRun) -> int | None:
    """Returns the number of processes that saved a resumed run; None for a new run."""
    return None if run.resumed is None else run.resumed.metadata.progress.get("processes", 1)
