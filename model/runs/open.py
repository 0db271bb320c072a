"""Opens a requested run: its text, its folder, its settings, its first weights. No torch.

A new run leaves no files unless its text can be used. A resumed run starts from its newest
undamaged checkpoint. The weights exist before torch is imported, so that the sampler can begin.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from corpus import (
    Corpus,
    CorpusError,
    CorpusOptions,
    Loading,
    Split,
    UnknownSymbolsError,
    loading,
    resolve_source,
)
from corpus.generators import GeneratorWithResult
from model.config import ModelConfig, TrainingConfig
from model.data.batches import Batches, make_batches
from model.data.division import check_division, note_smaller_batch, split_of
from model.errors import CheckpointError, ConfigError
from model.events import Preparing
from model.network import parameters
from model.network.memory_needed import require_memory
from model.network.network_form import Weights
from model.network.published import PublishedWeights
from model.plan.ladder import Plan, needs_speed, plan_for
from model.plan.machine_speed import MeasureSpeed, remember_speed, remembered_speed
from model.presets import AUTO
from model.runs.checkpoint import Checkpoint, measured_on, without_prefix
from model.runs.checkpoint_form import CPU_RANDOM, STATE_PREFIX, checkpoint_size
from model.runs.corpus_record import CorpusRecord
from model.runs.folder import RunFolder
from model.runs.reload_corpus import find_saved_text, path_of_a_moved_run
from model.runs.request import RunRequest, resumed_settings
from model.system.versions import version_of

MAX_SLUG_CHARACTERS = 40
"""Longest part of a run's name that comes from the name of its text."""
SECONDS_BETWEEN_REPORTS = 0.2
"""Time between two events about the progress of reading a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRun:
    """Everything that a training starts from. The folder is locked."""

    folder: RunFolder
    preset: str
    model: ModelConfig
    training: TrainingConfig
    corpus: Corpus
    source: CorpusRecord
    split: Split
    batches: Batches
    weights: Weights
    """The initial weights of a new network, or the weights of the checkpoint."""
    resumed: Checkpoint | None
    goes_on_in_its_epoch: bool
    """Whether a resumed run continues at its place in the text, with its recurrent state."""
    weights_only: bool = False
    """Whether only the weights of `resumed` are used."""
    keeps_its_best: bool = True
    """Whether the losses of a resumed run are comparable with those before."""
    plan: Plan | None = None
    """What the program chose; None if a preset was named."""
    notes: tuple[str, ...]
    """Sentences for the user about reading the text and finding the run."""

    @property
    def expected_speed(self) -> float | None:
        """Characters per second that the plan counted on; None without such a plan."""
        return None if self.plan is None else self.plan.speed

    def give_up(self) -> None:
        """Unlocks the run, and deletes it if it is new."""
        if self.resumed is None:
            self.folder.remove_new()
        else:
            self.folder.unlock()

    def published(self) -> PublishedWeights:
        """Returns the weights in the form that the sampler takes."""
        step = 0 if self.resumed is None else self.resumed.metadata.step
        return PublishedWeights(
            snapshot=parameters.weight_snapshot(self.model, self.weights, step=step),
            vocabulary=self.corpus.vocabulary,
            window=self.training.window,
        )


Opening = Generator[Preparing, None, OpenedRun]


def open_run(request: RunRequest, cancelled: Callable[[], bool], measure: MeasureSpeed) -> Opening:
    """Opens a run and locks its folder; yields the stage it is in.

    Args:
        request: the run to begin or to resume.
        cancelled: called often while the text is read.
        measure: is called for a new run that needs a plan, if this machine's speed is unknown.

    Raises:
        UserError: the text, the settings, the checkpoint or the file system do not allow it.
        corpus.LoadCancelled: ``cancelled`` returned true.
    """
    if not request.resume:
        return (yield from _open_new(request, cancelled, measure))
    yield Preparing(stage="opening the run")
    folder = RunFolder.find(request.root, request.run)
    folder.lock()
    try:
        folder.require_readable()
        return (yield from _open_saved(request, folder, cancelled))
    except BaseException:
        folder.unlock()
        raise


def _open_new(request: RunRequest, cancelled: Callable[[], bool], measure: MeasureSpeed) -> Opening:
    corpus = yield from _load(request, request.corpus, request.corpus_options, cancelled)
    notes = list(corpus.notes)
    split = split_of(corpus, request.training, notes)
    plan = None
    if request.preset == AUTO:
        plan = yield from _plan(request, corpus, len(split.train), measure)
        request = dataclasses.replace(request, model=plan.model, training=plan.training)
    model, training, symbols = request.model, request.training, len(corpus.vocabulary)
    batches = make_batches(split.train, training, subject=corpus.name)
    check_division(batches, request.processes)
    batch, characters = -(-batches.batch // request.processes), len(split.train)
    require_memory(model, training, symbols, batch=batch, characters=characters)
    folder = RunFolder.create(
        request.root,
        request.run,
        fallback_name=f"{_slug(corpus.name)}-{time.strftime('%Y%m%d-%H%M%S')}",
    )
    try:
        note_smaller_batch(batches.batch, training.batch, notes)
        source = CorpusRecord.of(corpus, request.corpus_options)
        folder.checkpoints.require_room(checkpoint_size(model, training, symbols))
        folder.write_description(_description(request, folder, corpus, source, plan))
    except BaseException:
        folder.remove_new()
        raise
    return OpenedRun(
        folder=folder,
        preset=request.preset,
        model=model,
        training=training,
        corpus=corpus,
        source=source,
        split=split,
        batches=batches,
        weights=parameters.initial_parameters(model, symbols, training.seed),
        resumed=None,
        goes_on_in_its_epoch=True,
        plan=plan,
        notes=tuple(notes),
    )


def _plan(
    request: RunRequest, corpus: Corpus, characters: int, measure: MeasureSpeed
) -> Generator[Preparing, None, Plan]:
    """Returns the plan for this machine and the training part of a text."""
    chosen = frozenset(request.overrides)
    needed = needs_speed(chosen)
    training, processes = request.training, request.processes
    network = request.model.network if "network" in chosen else None
    speed = remembered_speed(training, processes, network) if needed else None
    if needed and speed is None:
        yield Preparing(stage="measuring this machine")
        speed = measure(training, corpus.vocabulary, network=network)
        remember_speed(speed, training, processes, network)
    return plan_for(
        speed,
        characters=characters,
        symbols=len(corpus.vocabulary),
        model=request.model,
        training=training,
        chosen=chosen,
    )


def _open_saved(request: RunRequest, folder: RunFolder, cancelled: Callable[[], bool]) -> Opening:
    notes: list[str] = []
    checkpoint = folder.checkpoints.load_latest(notes.append)
    metadata = checkpoint.metadata
    model, training = resumed_settings(folder.path, metadata, request)
    if request.overrides.get("seed", training.seed) != training.seed:
        notes.append("--seed changes nothing in the training of a run that has begun")
    corpus, source = yield from _load_resumed(request, folder, checkpoint, cancelled, notes)
    same_text = corpus.sha256 == metadata.source.sha256
    keeps_its_best = measured_on(source, training) == metadata.measured_on
    if request.weights_only:
        notes.append("only the weights were loaded; optimiser and place in the text start again")
    elif not same_text:
        notes.append("the text is not the one that the run was trained on; its epoch starts again")
    if not keeps_its_best:
        notes.append("earlier losses are those of another held-out part; the best loss is reset")
    split = split_of(corpus, training, notes)
    batches = _resumed_batches(split, training, corpus, request)
    _require_resumable(folder, checkpoint, request)
    batch, symbols = -(-batches.batch // request.processes), len(corpus.vocabulary)
    require_memory(model, training, symbols, batch=batch, characters=len(split.train), resumed=True)
    folder.checkpoints.require_room(checkpoint_size(model, training, symbols))
    folder.record.forget_after(metadata.step)
    goes_on_in_its_epoch = same_text and not request.weights_only
    if goes_on_in_its_epoch:
        _restore_position(folder, checkpoint, batches)
    else:
        batches.epoch = metadata.epoch + _has_read_all(metadata.progress)
    return OpenedRun(
        folder=folder,
        preset=metadata.preset,
        model=model,
        training=training,
        corpus=corpus,
        source=source,
        split=split,
        batches=batches,
        weights=checkpoint.weights(),
        resumed=checkpoint,
        goes_on_in_its_epoch=goes_on_in_its_epoch,
        weights_only=request.weights_only,
        keeps_its_best=keeps_its_best,
        plan=Plan(model=model, training=training) if metadata.preset == AUTO else None,
        notes=tuple(notes),
    )


def _has_read_all(progress: Mapping[str, Any]) -> bool:
    """Whether the counters of a checkpoint say that its epoch was at its end."""
    index = progress.get("batches", {}).get("index")
    return index is not None and index == progress.get("steps_per_epoch")


def _load_resumed(
    request: RunRequest,
    folder: RunFolder,
    checkpoint: Checkpoint,
    cancelled: Callable[[], bool],
    notes: list[str],
) -> Generator[Preparing, None, tuple[Corpus, CorpusRecord]]:
    """Reads the text that a resumed run continues with, in the way of the saved run."""
    saved, asked = checkpoint.metadata.source, request.corpus_options
    options = dataclasses.replace(
        saved.options(encoding=asked.encoding), maximum_vocabulary=asked.maximum_vocabulary
    )
    if asked.include or asked.exclude:
        options = dataclasses.replace(options, include=asked.include, exclude=asked.exclude)
    specification = request.corpus or saved.specification
    if specification == "-" and request.corpus is None:
        raise CorpusError("-", "the run read its text from standard input", "name the text again")
    if request.corpus is None and (path := path_of_a_moved_run(folder, saved)):
        notes.append(f"the run has no record that it began in this folder; its text is {path}")
    corpus = yield from _load(request, specification, options, cancelled, checkpoint)
    notes += corpus.notes
    return corpus, CorpusRecord.of(corpus, options)


def _require_resumable(folder: RunFolder, checkpoint: Checkpoint, request: RunRequest) -> None:
    """Refuses a checkpoint that holds weights alone, unless only its weights are used.

    Raises:
        CheckpointError: the checkpoint has no state of a training.
    """
    if CPU_RANDOM not in checkpoint.tensors and not request.weights_only:
        raise CheckpointError(
            str(folder.path),
            "its checkpoint holds no state of a training",
            "continue from its weights with --weights-only, or generate from it",
        )


def _resumed_batches(
    split: Split, training: TrainingConfig, corpus: Corpus, request: RunRequest
) -> Batches:
    """Returns the batches of a resumed run, whose batch and sequence are fixed.

    Raises:
        UserError: the text is too short for them, or there are more processes than streams.
    """
    try:
        batches = make_batches(split.train, training, subject=corpus.name)
        check_division(batches, request.processes)
    except (CorpusError, ConfigError) as error:
        remedy = "name a longer text"
        if isinstance(error, ConfigError):
            remedy = f"start fewer processes, or {remedy}"
        elif not request.weights_only:
            remedy = f"{remedy}, or give --weights-only with a smaller --sequence"
        raise type(error)(error.subject, error.cause, remedy) from error
    return batches


def _restore_position(folder: RunFolder, checkpoint: Checkpoint, batches: Batches) -> None:
    """Moves the batches to the position in the text at which the checkpoint was made.

    Raises:
        CheckpointError: the text has no such position, or another number of streams.
    """
    states = without_prefix(checkpoint.tensors, STATE_PREFIX).values()
    try:
        batches.restore(checkpoint.metadata.progress["batches"])
        for state in states:
            if state.shape[1] != batches.batch:
                raise ValueError(f"{state.shape[1]} streams instead of {batches.batch}")
    except ValueError as error:
        raise CheckpointError(
            str(folder.path),
            f"its checkpoint does not fit its text ({error})",
            "continue from its weights with --weights-only",
        ) from error


def _load(
    request: RunRequest,
    specification: str | None,
    options: CorpusOptions,
    cancelled: Callable[[], bool],
    checkpoint: Checkpoint | None = None,
) -> Generator[Preparing, None, Corpus]:
    assert specification is not None, "only a resumed run may leave its corpus out"
    yield Preparing(stage="reading the text")
    if checkpoint is not None and request.corpus is None:
        source = find_saved_text(specification, options, offline=request.offline)
    else:
        source = resolve_source(
            specification,
            offline=request.offline,
            stdin_descriptor=request.stdin_descriptor,
            options=options,
        )
    vocabulary = None if checkpoint is None else checkpoint.metadata.vocabulary
    steps = loading(source, options, vocabulary=vocabulary, cancelled=cancelled)
    try:
        return (yield from _report_progress(steps))
    except UnknownSymbolsError as error:
        raise CheckpointError(error.subject, error.cause, error.remedy) from error


def _report_progress(loading_steps: Loading) -> Generator[Preparing, None, Corpus]:
    """Loads a text and yields the progress a few times a second."""
    last_report = time.monotonic()
    steps = GeneratorWithResult(loading_steps)
    for progress in steps:
        now = time.monotonic()
        if now - last_report >= SECONDS_BETWEEN_REPORTS:
            last_report = now
            yield Preparing(stage=progress.stage, fraction=progress.fraction)
    return steps.result


def _slug(name: str) -> str:
    """Returns a text's name in the characters that a run's name may have."""
    dashed = re.sub(r"[^A-Za-z0-9_]+", "-", name.rsplit(".", 1)[0])
    return dashed.strip("-")[:MAX_SLUG_CHARACTERS] or "run"


def _description(
    request: RunRequest,
    folder: RunFolder,
    corpus: Corpus,
    source: CorpusRecord,
    plan: Plan | None,
) -> dict[str, Any]:
    """Returns what ``run.json`` holds of a new run."""
    return {
        **({} if plan is None else {"plan": plan.to_record()}),
        "format": 1,
        "id": uuid.uuid4().hex,
        "run": folder.name,
        "folder": os.path.realpath(folder.path),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "preset": request.preset,
        "corpus": source.to_record(),
        "model": dataclasses.asdict(request.model),
        "training": dataclasses.asdict(request.training),
        "vocabulary": "".join(corpus.vocabulary.symbols),
        "versions": {
            "charlm-tui": version_of("charlm-tui"),
            "torch": version_of("torch"),
            "numpy": version_of("numpy"),
            "python": platform.python_version(),
        },
    }
