"""From a run in memory to what a checkpoint holds, and back to the engine that made it. PyTorch."""

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
    """Returns all that the run needs to go on exactly.

    Args:
        run: the run.
        trainer: after a whole step.
        nats: validation loss of these very weights, where it is known.
        best_nats: the lowest validation loss of the run so far.
        seconds: training time so far.
        scored: characters that each validation of the run scores at most, once that is decided.
        carried: whether to save the carried state, of which every process has a part.
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
        trainer: as it was built.
        seconds: training time so far.
    """
    start = checkpoint_of(run, trainer, nats=None, best_nats=None, seconds=seconds, carried=False)
    tensors = dict(start.tensors)
    if run.resumed is not None and run.goes_on_in_its_epoch:
        saved = run.resumed.tensors
        tensors |= {name: saved[name] for name in saved if name.startswith(STATE_PREFIX)}
    return dataclasses.replace(start, tensors=tensors)


def trainer_of(run: OpenedRun, machine: Machine, ranks: ProcessGroup) -> Trainer:
    """Returns a trainer of the run's first weights, or where a resumed run was saved."""
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
    """Returns the engine that a resumed run was computed with, where its checkpoint says so.

    Args:
        run: the run.
        processes: that will train it; an engine is the choice of so many, and no other's.
    """
    if run.resumed is None or processes_of(run) != processes:
        return None
    record = run.resumed.metadata.progress.get("engine")
    return None if record is None else Engine.from_record(record)


def processes_of(run: OpenedRun) -> int | None:
    """Returns how many processes trained a resumed run when it was saved; None for a new run."""
    return None if run.resumed is None else run.resumed.metadata.progress.get("processes", 1)
