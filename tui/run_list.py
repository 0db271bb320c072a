"""What the app shows of saved runs; reads files, knows no widget."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model.errors import CheckpointError, RunFolderError
from model.events import Validated, of_the_last_text, recorded_event
from model.run_folder import RunFolder, SavedCheckpoint, Warn, from_the_best
from tui.widgets.decimate import Point

RunState = Literal["training", "finished", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One saved run."""

    name: str
    corpus: str
    state: RunState
    steps: int
    best_nats: float | None
    best_path: Path | None
    """The checkpoint with the lowest validation loss of the newest one's text, else the newest."""
    checkpoints: tuple[SavedCheckpoint, ...]
    """By step."""


def list_runs(root: Path) -> list[RunSummary]:
    """Returns the runs under a folder, the newest first; a damaged one is left out.

    Raises:
        RunFolderError: the folder cannot be read.
    """
    folders = sorted(RunFolder.all(root), key=lambda folder: -folder.last_written())
    return [summary_of(folder) for folder in folders]


def summary_of(folder: RunFolder, warn: Warn = lambda _: None) -> RunSummary:
    """Returns what can be said of a run without reading its tensors.

    Args:
        folder: of the run.
        warn: is told of each file that is damaged.
    """
    saved = folder.checkpoints(warn)
    best = next(iter(from_the_best(saved)), None)
    newest = saved[-1] if saved else None
    chosen = best or newest
    return RunSummary(
        name=folder.name,
        corpus=_corpus_of(folder, warn),
        state=state_of(folder),
        steps=newest.metadata.step if newest else 0,
        best_nats=best.metadata.nats_per_character if best else None,
        best_path=chosen.path if chosen else None,
        checkpoints=tuple(saved),
    )


def state_of(folder: RunFolder) -> RunState:
    """Returns whether a run is being trained, came to its planned end, or can be gone on with."""
    if folder.is_being_written():
        return "training"
    events = [r for r in folder.read_lines("metrics.jsonl") if r.get("event") != "checkpoint"]
    ended = bool(events) and events[-1].get("event") == "finished"
    return "finished" if ended and events[-1].get("reason") != "stopped" else "interrupted"


def validation_curve(folder: RunFolder) -> list[Point]:
    """Returns (training seconds, nats per character) of a run's validations."""
    events = map(recorded_event, of_the_last_text(folder.read_lines("metrics.jsonl")))
    return [
        (event.time, event.nats_per_character)
        for event in events
        if isinstance(event, Validated)
        and math.isfinite(event.time)
        and math.isfinite(event.nats_per_character)
    ]


def delete_run(root: Path, name: str) -> None:
    """Deletes a run's folder.

    Raises:
        RunFolderError: it is being trained, or the file system refuses.
    """
    folder = RunFolder.find(root, name)
    if folder.is_being_written():
        raise RunFolderError(str(folder.path), "is being trained", "stop that first")
    try:
        shutil.rmtree(folder.path)
    except OSError as error:
        raise RunFolderError(
            str(folder.path), f"cannot be deleted ({error.strerror})", "check its permissions"
        ) from error


def _corpus_of(folder: RunFolder, warn: Warn) -> str:
    try:
        corpus: Any = folder.description().get("corpus", {})
        return str(corpus.get("name", "")) if isinstance(corpus, dict) else ""
    except CheckpointError as error:
        warn(str(error))
        return ""
