"""The summary of each saved run, for lists of runs; and deletion of a run by its name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from corpus.counted import counted
from model.duel.score import DuelScore, recorded_letters, score_of
from model.errors import CheckpointError, RunFolderError
from model.events import Finished, Validated, of_the_last_text, recorded_event
from model.runs.checkpoint_store import SavedCheckpoint, Warn, best_first
from model.runs.decimate import Point
from model.runs.file_names import DUELS_NAME, METRICS_NAME
from model.runs.folder import RunFolder

RunState = Literal["training", "finished", "interrupted", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The facts about one saved run that a list shows."""

    name: str
    corpus: str
    network: str
    """Kind and size, such as ``GRU(296)``; empty without a checkpoint."""
    state: RunState
    steps: int
    best_nats: float | None
    best_path: Path | None
    """The checkpoint with the lowest validation loss on the newest one's text, or the newest."""
    checkpoints: tuple[SavedCheckpoint, ...]
    """Checkpoints in the order of their steps."""
    duel: DuelScore | None = None
    """Score of all duels on this run; None if there was none."""
    identity: str | None = None
    """Identifier that differs between runs of the same name; None without one."""
    problem: str | None = None
    """Why the run is unreadable, as a clause; None if it is readable."""


def list_runs(root: Path) -> list[RunSummary]:
    """Returns the runs under a folder, the newest first. A damaged run has a `problem`.

    Raises:
        RunFolderError: the folder cannot be read.
    """
    folders = sorted(RunFolder.all(root), key=lambda folder: -folder.checkpoints.last_written())
    return [summary_of(folder) for folder in folders]


def summary_of(folder: RunFolder, warn: Warn = lambda _: None) -> RunSummary:
    """Returns the summary of a run, without reading its tensors.

    Args:
        folder: the folder of the run.
        warn: receives a sentence for each damaged file.
    """
    saved = folder.checkpoints.saved(warn)
    best = next(iter(best_first(saved)), None)
    newest = saved[-1] if saved else None
    chosen = best or newest
    problem = folder.problem()
    if problem is None and not saved and (damaged := folder.checkpoints.paths()):
        problem = f"it has {counted(len(damaged), 'checkpoint')}, of which none can be read"
    return RunSummary(
        name=folder.name,
        corpus="" if problem else _corpus_of(folder),
        network=newest.metadata.model.title if newest else "",
        state="unreadable" if problem else _state_of(folder, newest),
        steps=newest.metadata.step if newest else 0,
        best_nats=best.metadata.nats_per_character if best else None,
        best_path=chosen.path if chosen else None,
        checkpoints=tuple(saved),
        duel=None if problem else _duel_of(folder, warn),
        identity=folder.identity(),
        problem=problem,
    )


def _state_of(folder: RunFolder, newest: SavedCheckpoint | None) -> RunState:
    """Returns whether a run is being trained, has reached its planned end, or was interrupted.

    A run whose last steps could not be saved has not reached its end.

    Raises:
        CheckpointError: its record cannot be read.
    """
    if folder.is_being_written():
        return "training"
    last = folder.record.last_event()
    if not isinstance(last, Finished) or last.reason == "stopped":
        return "interrupted"
    is_lost = newest is not None and newest.metadata.step < last.step
    return "interrupted" if is_lost and last.reason == "completed" else "finished"


def validation_curve(folder: RunFolder) -> list[Point]:
    """Returns (training seconds, nats per character) of a run's validations.

    Raises:
        CheckpointError: its record cannot be read.
    """
    events = map(recorded_event, of_the_last_text(folder.record.read_lines(METRICS_NAME)))
    return [
        (event.time, event.nats_per_character)
        for event in events
        if isinstance(event, Validated)
        and math.isfinite(event.time)
        and math.isfinite(event.nats_per_character)
    ]


def delete_run(root: Path, name: str, identity: str | None = None) -> list[str]:
    """Deletes a run's files, and its folder if it is empty then; returns the names that stay.

    Args:
        root: the folder of the runs.
        name: the name of the run.
        identity: of the run to delete; another run may have got its name since it was listed.

    Raises:
        RunFolderError: the run is being trained, another run has its name now, or the file system
            refuses.
    """
    folder = RunFolder.find(root, name)
    if folder.is_being_written():
        raise RunFolderError(str(folder.path), "is being trained", "stop that first")
    return folder.delete(identity)


def _corpus_of(folder: RunFolder) -> str:
    corpus: Any = folder.description().get("corpus", {})
    return str(corpus.get("name", "")) if isinstance(corpus, dict) else ""


def _duel_of(folder: RunFolder, warn: Warn) -> DuelScore | None:
    try:
        return score_of(recorded_letters(folder.record.lines(DUELS_NAME)))
    except CheckpointError as error:
        warn(str(error))
        return None
