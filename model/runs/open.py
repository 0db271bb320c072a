"""From a request to an open run: its text, its folder, its settings, its first weights. No torch.

A new run leaves nothing behind unless its text can be used; a resumed one goes on from its newest
whole checkpoint. The weights are there before torch is, so the sampler can begin with them.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import re
import time
import uuid
from collections.abc import Callable, Generator
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
    split_ids,
)
from corpus.generators import WithResult
from model.config import ModelConfig, TrainingConfig
from model.data.batches import Batches, make_batches
from model.errors import CheckpointError, ConfigError
from model.events import Preparing
from model.network import parameters
from model.network.memory_needed import require_memory
from model.network.parameters import Weights
from model.network.published import Publication
from model.runs.checkpoint import Checkpoint, CheckpointMetadata, measured_on, without_prefix
from model.runs.checkpoint_form import CPU_RANDOM, STATE_PREFIX, checkpoint_size
from model.runs.corpus_record import CorpusSource
from model.runs.folder import RunFolder
from model.runs.reload_corpus import find_own_text, path_of_a_moved_run
from model.runs.request import RunRequest

CHANGEABLE_ON_RESUME = frozenset(
    {
        "epochs",
        "minutes",
        "learning_rate",
        "dropout",
        "embedding_dropout",
        "weight_dropout",
        "weight_decay",
        "guard",
        "checkpoint_every",
        "device",
        "precision",
        "threads",
        "seed",
    }
)
SECONDS_BETWEEN_NEWS = 0.2
"""Of how far a text is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRun:
    """All that a training starts from; the folder is locked."""

    folder: RunFolder
    preset: str
    model: ModelConfig
    training: TrainingConfig
    corpus: Corpus
    source: CorpusSource
    split: Split
    batches: Batches
    weights: Weights
    """Of a new network, or those of the checkpoint."""
    resumed: Checkpoint | None
    goes_on_in_its_epoch: bool
    """Whether a resumed run knows its place in the text, and the state it had there."""
    weights_only: bool = False
    """Whether nothing but the weights of `resumed` counts."""
    keeps_its_best: bool = True
    """Whether a resumed run's losses can be compared with those that come."""
    notes: tuple[str, ...]
    """What the user should know of how the text was read and the run was found."""

    def give_up(self) -> None:
        """Lets others write the run; of a new one, of which nothing was made, nothing stays."""
        if self.resumed is None:
            self.folder.remove_new()
        else:
            self.folder.unlock()

    def publication(self) -> Publication:
        """Returns the weights as the sampler takes them."""
        step = 0 if self.resumed is None else self.resumed.metadata.step
        return Publication(
            snapshot=parameters.weight_snapshot(self.weights, step=step),
            vocabulary=self.corpus.vocabulary,
            window=self.training.window,
        )


Opening = Generator[Preparing, None, OpenedRun]


def open_run(request: RunRequest, cancelled: Callable[[], bool]) -> Opening:
    """Opens a run, telling the stage it is in; locks the run's folder.

    Raises:
        UserError: the text, the settings, the checkpoint or the file system refuse.
        corpus.LoadCancelled: ``cancelled`` became true while the text was read.
    """
    notes: list[str] = []
    if request.resume:
        yield Preparing(stage="opening the run")
        folder = RunFolder.find(request.root, request.run)
        folder.lock()
        try:
            folder.require_readable()
            return (yield from _open_saved(request, folder, cancelled))
        except BaseException:
            folder.unlock()
            raise
    corpus = yield from _load(request, request.corpus, request.corpus_options, cancelled)
    notes += corpus.notes
    split = split_of(corpus, request.training, notes)
    batches = make_batches(split.train, request.training, subject=corpus.name)
    _check_division(batches, request.processes)
    require_memory(
        request.model,
        request.training,
        len(corpus.vocabulary),
        batch=-(-batches.batch // request.processes),
    )
    folder = RunFolder.create(
        request.root,
        request.run,
        fallback_name=f"{_slug(corpus.name)}-{time.strftime('%Y%m%d-%H%M%S')}",
    )
    try:
        _note_smaller_batch(batches.batch, request.training.batch, notes)
        source = CorpusSource.of(corpus, request.corpus_options)
        folder.checkpoints.require_room(
            checkpoint_size(request.model, request.training, len(corpus.vocabulary))
        )
        folder.write_description(_description(request, folder, corpus, source))
    except BaseException:
        folder.remove_new()
        raise
    return OpenedRun(
        folder=folder,
        preset=request.preset,
        model=request.model,
        training=request.training,
        corpus=corpus,
        source=source,
        split=split,
        batches=batches,
        weights=parameters.initial_parameters(
            request.model, len(corpus.vocabulary), request.training.seed
        ),
        resumed=None,
        goes_on_in_its_epoch=True,
        notes=tuple(notes),
    )


def _open_saved(request: RunRequest, folder: RunFolder, cancelled: Callable[[], bool]) -> Opening:
    notes: list[str] = []
    checkpoint = folder.checkpoints.load_latest(notes.append)
    metadata = checkpoint.metadata
    model, training = resumed_settings(folder, metadata, request)
    if request.overrides.get("seed", training.seed) != training.seed:
        notes.append("--seed changes nothing in the training: the seed of a begun run is spent")
    asked = request.corpus_options
    options = dataclasses.replace(
        metadata.source.options(encoding=asked.encoding),
        maximum_vocabulary=asked.maximum_vocabulary,
    )
    if asked.include or asked.exclude:
        options = dataclasses.replace(options, include=asked.include, exclude=asked.exclude)
    specification = request.corpus or metadata.source.specification
    if specification == "-" and request.corpus is None:
        raise CorpusError("-", "the run read its text from standard input", "name the text again")
    if request.corpus is None and (path := path_of_a_moved_run(folder, metadata.source)):
        notes.append(
            "the run does not say that it was begun in this folder; the text that it names is "
            f"{path}"
        )
    corpus = yield from _load(request, specification, options, cancelled, checkpoint)
    notes += corpus.notes
    same_text = corpus.sha256 == metadata.source.sha256
    source = CorpusSource.of(corpus, options)
    keeps_its_best = measured_on(source, training) == metadata.measured_on
    if request.weights_only:
        notes.append("only the weights were taken over; the optimiser and the epoch begin anew")
    elif not same_text:
        notes.append("the text is not the one that the run was trained on; its epoch begins anew")
    if not keeps_its_best:
        notes.append("losses before are those of another held-out part; the best one begins anew")
    split = split_of(corpus, training, notes)
    batches = _resumed_batches(split, training, corpus, request)
    if CPU_RANDOM not in checkpoint.tensors and not request.weights_only:
        raise CheckpointError(
            str(folder.path),
            "its checkpoint holds no state of a training",
            "go on from its weights by --weights-only, or generate from it",
        )
    require_memory(
        model,
        training,
        len(corpus.vocabulary),
        batch=-(-batches.batch // request.processes),
        resumed=True,
    )
    folder.checkpoints.require_room(checkpoint_size(model, training, len(corpus.vocabulary)))
    folder.record.forget_after(metadata.step)
    goes_on_in_its_epoch = same_text and not request.weights_only
    if goes_on_in_its_epoch:
        _go_to_its_place(folder, checkpoint, batches)
    else:
        batches.epoch = metadata.epoch
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
        notes=tuple(notes),
    )


def _resumed_batches(
    split: Split, training: TrainingConfig, corpus: Corpus, request: RunRequest
) -> Batches:
    """Returns the batches of a run that is gone on with, whose settings stay as they are.

    Raises:
        UserError: the text is too short for them.
    """
    try:
        batches = make_batches(split.train, training, subject=corpus.name)
        _check_division(batches, request.processes)
    except (CorpusError, ConfigError) as error:
        remedy = "name a longer text"
        if isinstance(error, ConfigError):
            remedy = f"start fewer processes, or {remedy}"
        elif not request.weights_only:
            remedy = f"{remedy}, or give --weights-only with a smaller --sequence"
        raise type(error)(error.subject, error.cause, remedy) from error
    return batches


def _go_to_its_place(folder: RunFolder, checkpoint: Checkpoint, batches: Batches) -> None:
    """Puts the batches where the checkpoint was made; its state must be that of their streams.

    Raises:
        CheckpointError: its text has no such place, or other streams.
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
            "go on from its weights by --weights-only",
        ) from error


def resumed_settings(
    folder: RunFolder, metadata: CheckpointMetadata, request: RunRequest
) -> tuple[ModelConfig, TrainingConfig]:
    """Returns the saved settings with those changes that a resumed run can take.

    A new end (epochs or minutes) replaces the planned one and counts from the run's beginning. The
    weights alone can be trained in any way.

    Raises:
        CheckpointError: a setting was asked for that a trained network cannot change.
    """
    model_fields = {field.name for field in dataclasses.fields(ModelConfig)}
    model, training = metadata.model, metadata.training
    changes = dict(request.overrides)
    besides = {"preset": metadata.preset, "lowercase": metadata.source.lowercase}
    for name, asked in changes.items():
        of_training = name not in model_fields and name not in besides
        holder = training if of_training else model
        saved = besides[name] if name in besides else getattr(holder, name)
        fixed = name not in CHANGEABLE_ON_RESUME and not (of_training and request.weights_only)
        if asked != saved and fixed:
            was, wished = (_worded(value) for value in (saved, asked))
            raise CheckpointError(
                str(folder.path),
                f"the saved run has {name.replace('_', '-')} {was}, asked for is {wished}",
                "leave the option out, or start another run with --run",
            )
    for name in besides:
        changes.pop(name, None)
    if "epochs" in changes or "minutes" in changes:
        changes.setdefault("epochs", None)
        changes.setdefault("minutes", None)
    if not request.weights_only:
        changes.pop("seed", None)  # the seed of a begun run is spent
    return (
        dataclasses.replace(model, **{k: v for k, v in changes.items() if k in model_fields}),
        dataclasses.replace(
            training, **{k: v for k, v in changes.items() if k not in model_fields}
        ),
    )


def _worded(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


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
        source = find_own_text(specification, options, offline=request.offline)
    else:
        source = resolve_source(
            specification,
            offline=request.offline,
            stdin_descriptor=request.stdin_descriptor,
            options=options,
        )
    vocabulary = None if checkpoint is None else checkpoint.metadata.vocabulary
    try:
        return (
            yield from _told(loading(source, options, vocabulary=vocabulary, cancelled=cancelled))
        )
    except UnknownSymbolsError as error:
        raise CheckpointError(error.subject, error.cause, error.remedy) from error


def _told(work: Loading) -> Generator[Preparing, None, Corpus]:
    """Loads a text, telling a few times a second how far that is."""
    told = time.monotonic()
    loads = WithResult(work)
    for done in loads:
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_NEWS:
            told = now
            yield Preparing(stage=done.stage, fraction=done.fraction)
    return loads.result


def split_of(corpus: Corpus, training: TrainingConfig, notes: list[str]) -> Split:
    """Returns the parts to train on and to hold out; notes where the text is too short for both."""
    split = split_ids(corpus.ids, training.validation_fraction)
    if len(split.held_out) < 2 or len(split.train) <= training.sequence < len(corpus.ids):
        if training.validation_fraction:
            notes.append("the text is too short to hold a part out: there is no validation")
        return split_ids(corpus.ids, 0.0)
    return split


def _check_division(batches: Batches, processes: int) -> None:
    """Refuses more processes than streams: one of them would have nothing to do."""
    if batches.batch < processes:
        raise ConfigError(
            "--batch",
            f"{batches.batch} streams of this text cannot be divided among {processes} processes",
            "start fewer processes, or give a larger --batch or a longer text",
        )


def _note_smaller_batch(batch: int, asked: int, notes: list[str]) -> None:
    if batch < asked:
        notes.append(f"the text is short: {batch} streams instead of {asked}")


def _slug(name: str) -> str:
    """Returns a name that can begin a run's folder."""
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", name.rsplit(".", 1)[0]).strip("-")[:40]
    return slug or "run"


def _description(
    request: RunRequest, folder: RunFolder, corpus: Corpus, source: CorpusSource
) -> dict[str, Any]:
    return {
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
            "charlm-tui": _version("charlm-tui"),
            "torch": _version("torch"),
            "numpy": _version("numpy"),
            "python": platform.python_version(),
        },
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
