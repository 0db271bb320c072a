"""From a request to everything that a training needs: text, folder, network, trainer. PyTorch.

A new run leaves nothing behind unless its text can be used; a resumed one goes on from its newest
whole checkpoint.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import torch

from corpus import Corpus, CorpusError, CorpusOptions, Split, load_corpus, resolve_source, split_ids
from model.batches import make_batches
from model.checkpoint import Checkpoint
from model.config import ModelConfig, TrainingConfig
from model.corpus_source import CorpusSource
from model.errors import CheckpointError, ConfigError
from model.events import Preparing
from model.machine import Machine, choose_machine, prepare_thread
from model.network import CharacterLSTM
from model.run_folder import RunFolder
from model.run_request import RunRequest
from model.trainer import Trainer

CHANGEABLE_ON_RESUME = frozenset(
    {
        "epochs",
        "minutes",
        "learning_rate",
        "dropout",
        "checkpoint_every",
        "device",
        "precision",
        "threads",
        "seed",
    }
)
BYTES_PER_PARAMETER = 24
"""Weights, gradients, two moments of AdamW, and copies of them while saving, all float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """All that a training needs."""

    folder: RunFolder
    preset: str
    model: ModelConfig
    training: TrainingConfig
    corpus: Corpus
    source: CorpusSource
    split: Split
    machine: Machine
    trainer: Trainer
    resumed: Checkpoint | None
    notes: tuple[str, ...]
    """What the user should know of how the text was read and the run was found."""


Preparation = Generator[Preparing, None, PreparedRun]


def prepare(request: RunRequest, cancelled: Callable[[], bool]) -> Preparation:
    """Prepares a run, telling the stage it is in; locks the run's folder.

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
            return (yield from _prepare_resumed(request, folder, cancelled))
        except BaseException:
            folder.unlock()
            raise
    corpus = yield from _load(request, request.corpus, request.corpus_options, cancelled)
    notes += corpus.notes
    split = _split(corpus, request.training, notes)
    batches = make_batches(split.train, request.training, subject=corpus.name)
    _check_memory(request.model, len(corpus.vocabulary))
    folder = RunFolder.create(
        request.root,
        request.run,
        fallback_name=f"{_slug(corpus.name)}-{time.strftime('%Y%m%d-%H%M%S')}",
    )
    try:
        yield Preparing(stage="building the network")
        machine, trainer = _build(request.model, request.training, corpus, batches)
        _note_smaller_batch(batches.batch, request.training.batch, notes)
        source = CorpusSource.of(corpus, request.corpus_options)
        folder.write_description(_description(request, folder, corpus, source))
    except BaseException:
        folder.unlock()
        raise
    return PreparedRun(
        folder=folder,
        preset=request.preset,
        model=request.model,
        training=request.training,
        corpus=corpus,
        source=source,
        split=split,
        machine=machine,
        trainer=trainer,
        resumed=None,
        notes=tuple(notes),
    )


def _prepare_resumed(
    request: RunRequest, folder: RunFolder, cancelled: Callable[[], bool]
) -> Preparation:
    notes: list[str] = []
    checkpoint = folder.load_latest(notes.append)
    metadata = checkpoint.metadata
    model, training = resumed_settings(folder, metadata.model, metadata.training, request.overrides)
    options = CorpusOptions(
        encoding=request.corpus_options.encoding or metadata.source.encoding,
        lowercase=metadata.source.lowercase,
        maximum_vocabulary=request.corpus_options.maximum_vocabulary,
    )
    specification = request.corpus or metadata.source.specification
    if specification == "-" and request.corpus is None:
        raise CorpusError("-", "the run read its text from standard input", "name the text again")
    corpus = yield from _load(request, specification, options, cancelled, checkpoint)
    notes += corpus.notes
    same_text = corpus.sha256 == metadata.source.sha256
    if not same_text:
        notes.append("the text is not the one that the run was trained on; its epoch begins anew")
    split = _split(corpus, training, notes)
    batches = make_batches(split.train, training, subject=corpus.name)
    yield Preparing(stage="building the network")
    machine, trainer = _build(model, training, corpus, batches)
    if "random.torch" not in checkpoint.tensors:
        raise CheckpointError(
            str(folder.path), "its checkpoint holds weights only", "generate from it, or train anew"
        )
    trainer.restore(checkpoint.tensors, metadata.progress, same_text=same_text)
    if not same_text:
        batches.epoch = metadata.epoch
    source = CorpusSource.of(corpus, options)
    return PreparedRun(
        folder=folder,
        preset=metadata.preset,
        model=model,
        training=training,
        corpus=corpus,
        source=source,
        split=split,
        machine=machine,
        trainer=trainer,
        resumed=checkpoint,
        notes=tuple(notes),
    )


def resumed_settings(
    folder: RunFolder, model: ModelConfig, training: TrainingConfig, overrides: Any
) -> tuple[ModelConfig, TrainingConfig]:
    """Returns the saved settings with those changes that a resumed run can take.

    A new end (epochs or minutes) replaces the planned one and counts from the run's beginning.

    Raises:
        CheckpointError: a setting was asked for that a trained network cannot change.
    """
    model_fields = {field.name for field in dataclasses.fields(ModelConfig)}
    changes = dict(overrides)
    for name, asked in changes.items():
        saved = getattr(model if name in model_fields else training, name)
        if asked != saved and name not in CHANGEABLE_ON_RESUME:
            raise CheckpointError(
                str(folder.path),
                f"the saved run has {name.replace('_', '-')} {saved}, asked for is {asked}",
                "leave the option out, or start another run with --run",
            )
    if "epochs" in changes or "minutes" in changes:
        changes.setdefault("epochs", None)
        changes.setdefault("minutes", None)
    changes.pop("seed", None)  # the seed of a begun run is spent
    return (
        dataclasses.replace(model, **{k: v for k, v in changes.items() if k in model_fields}),
        dataclasses.replace(
            training, **{k: v for k, v in changes.items() if k not in model_fields}
        ),
    )


def _load(
    request: RunRequest,
    specification: str | None,
    options: CorpusOptions,
    cancelled: Callable[[], bool],
    checkpoint: Checkpoint | None = None,
) -> Generator[Preparing, None, Corpus]:
    assert specification is not None, "only a resumed run may leave its corpus out"
    yield Preparing(stage="reading the text")
    source = resolve_source(
        specification, offline=request.offline, stdin_descriptor=request.stdin_descriptor
    )
    vocabulary = None if checkpoint is None else checkpoint.metadata.vocabulary
    try:
        return load_corpus(source, options, vocabulary=vocabulary, cancelled=cancelled)
    except CorpusError as error:
        if vocabulary is not None and "outside" in error.cause:
            raise CheckpointError(error.subject, error.cause, error.remedy) from error
        raise


def _split(corpus: Corpus, training: TrainingConfig, notes: list[str]) -> Split:
    split = split_ids(corpus.ids, training.validation_fraction)
    if len(split.held_out) < 2 or len(split.train) <= training.sequence < len(corpus.ids):
        if training.validation_fraction:
            notes.append("the text is too short to hold a part out: there is no validation")
        return split_ids(corpus.ids, 0.0)
    return split


def _build(
    model: ModelConfig, training: TrainingConfig, corpus: Corpus, batches: Any
) -> tuple[Machine, Trainer]:
    machine = choose_machine(training, model.hidden)
    prepare_thread(machine)
    torch.manual_seed(training.seed)
    network = CharacterLSTM(model, len(corpus.vocabulary))
    return machine, Trainer(network, batches, training, machine)


def _check_memory(model: ModelConfig, vocabulary: int) -> None:
    """Refuses a network that cannot fit, before the system ends the program for it."""
    width = model.embedding or vocabulary
    parameters = 4 * model.hidden * (width + model.hidden * (2 * model.layers - 1))
    needed = parameters * BYTES_PER_PARAMETER
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            available = next(int(x.split()[1]) * 1024 for x in file if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return
    if needed > available:
        raise ConfigError(
            "--hidden",
            f"training this network needs about {needed / 2**30:.0f} GB of memory, and "
            f"{available / 2**30:.0f} GB are free",
            "give a smaller --hidden or fewer --layers",
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
        "run": folder.name,
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
