"""Converts command-line options to a request for a run and to sampling settings.

``model.config`` checks the ranges of most settings.
"""

from __future__ import annotations

import dataclasses
import random
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import click
from click.core import ParameterSource

from corpus import (
    DEFAULT_TEXT,
    CorpusError,
    CorpusOptions,
    require_encoding,
    require_prompt,
    resolve_source,
)
from model.config import MAX_SEED, SamplingConfig, TrainingConfig, require_range
from model.errors import ConfigError
from model.presets import AUTO, find_preset
from model.runs.file_names import check_run_name
from model.runs.folder import RunFolder
from model.runs.reload_corpus import path_of_a_moved_run
from model.runs.request import RunRequest
from model.system.memory import require_space
from tui.sanitise import one_line

MODEL_FIELDS = ("network", "hidden", "layers", "embedding", "dropout")
TRAINING_FIELDS = (
    "batch",
    "sequence",
    "learning_rate",
    "embedding_dropout",
    "weight_dropout",
    "weight_decay",
    "teacher_share",
    "averaging",
    "guard",
    "epochs",
    "minutes",
    "validation_fraction",
    "checkpoint_every",
    "seed",
    "device",
    "precision",
    "threads",
)
_NEEDS_TRAINING = ("preset", "lowercase", "tensorboard", "include", "exclude", "encoding")
"""Options, besides the training settings, that apply only to a training."""


def require_screen_ranges(options: Mapping[str, Any]) -> None:
    """Checks the ranges of the app's screen options.

    Raises:
        ConfigError: an option is out of range.
    """
    require_range("rate", options["rate"], 0.1, 10_000)
    require_range("fps", options["fps"], 1, 60)
    require_range("seed", options["seed"] or 0, 0, MAX_SEED)


def sampling_config(options: Mapping[str, Any]) -> SamplingConfig:
    """Returns the sampling settings from the options.

    Raises:
        ConfigError: an option is out of range.
        CorpusError: the prompt is too long.
    """
    require_prompt(options["prompt"])
    names = [field.name for field in dataclasses.fields(SamplingConfig)]
    return SamplingConfig(**{name: options[name] for name in names})


def require_there(request: RunRequest) -> None:
    """Refuses a missing text, run or encoding before the import of torch, which takes 2 s.

    Raises:
        UserError: the text, run or encoding does not exist.
    """
    require_space()
    require_encoding(request.corpus_options.encoding)
    if request.corpus is not None:
        resolve_source(request.corpus, offline=request.offline, options=request.corpus_options)
    if request.resume:
        folder = RunFolder.find(request.root, request.run)
        if request.corpus is None and sys.stdin.isatty() and sys.stderr.isatty():
            confirm_text(folder)


def confirm_text(folder: RunFolder) -> None:
    """Asks whether to train on the file that a moved run names.

    Raises:
        CorpusError: the user declined.
    """
    saved = folder.checkpoints.saved(lambda _: None)
    path = path_of_a_moved_run(folder, saved[-1].metadata.source) if saved else None
    if path is None:
        return
    name, shown = one_line(folder.name, 60), one_line(path, 300)
    question = f"{name} has no record that it began in this folder. It trains on {shown}. Go on?"
    if not click.confirm(question, err=True):
        raise CorpusError(path, "was declined", "name the text as CORPUS, with --resume")


def _named_besides(specified: Mapping[str, Any]) -> dict[str, Any]:
    """Returns preset and lower case if the user named them; defaults from a file do not count."""
    context = click.get_current_context(silent=True)
    by_file = context is not None and (
        context.get_parameter_source("preset") is ParameterSource.DEFAULT_MAP
    )
    return {
        name: specified[name]
        for name in ("preset", "lowercase")
        if name in specified and not (name == "preset" and by_file)
    }


def require_no_training(options: Mapping[str, Any]) -> None:
    """Refuses training options if saved weights are only used for writing.

    Raises:
        ConfigError: a training option was given.
    """
    named = {name for name, value in options.items() if value not in {None, False, ()}}
    of_a_training = {*MODEL_FIELDS, *TRAINING_FIELDS, *_NEEDS_TRAINING} - {"seed"}
    if not _named_besides({"preset": options["preset"]} if options["preset"] else {}):
        named.discard("preset")
    for name in sorted(of_a_training & named):
        raise ConfigError(
            f"--{name.replace('_', '-')}",
            "nothing is trained with --checkpoint",
            "leave it out, or continue the run with --resume",
        )


def run_request(corpus: str | None, options: Mapping[str, Any]) -> RunRequest:
    """Returns the request that the training options describe.

    Raises:
        ConfigError: an option is out of range.
    """
    preset = find_preset(AUTO if options["preset"] is None else options["preset"])
    specified = {name: value for name, value in options.items() if value is not None}
    preset = preset.of_network(specified.get("network", preset.model.network))
    model_changes = {name: specified[name] for name in MODEL_FIELDS if name in specified}
    training_changes = {name: specified[name] for name in TRAINING_FIELDS if name in specified}
    overrides = {**model_changes, **training_changes, **_named_besides(specified)}
    if "epochs" in specified or "minutes" in specified:
        training_changes.setdefault("epochs", None)
        training_changes.setdefault("minutes", None)
    training_changes.setdefault("seed", random.SystemRandom().randrange(10**6))
    training: TrainingConfig = dataclasses.replace(preset.training, **training_changes)
    resume = bool(options["resume"])
    if options["weights_only"] and not resume:
        raise ConfigError(
            "--weights-only", "there is no run to take weights from", "give it with --resume"
        )
    if options["tensorboard"] and find_spec("tensorboard") is None:
        raise ConfigError(
            "--tensorboard",
            "the package tensorboard is not installed",
            "install charlm-tui with its extra, charlm-tui[tensorboard]",
        )
    lowercase = options["lowercase"]
    return RunRequest(
        corpus=corpus if corpus is not None or resume else DEFAULT_TEXT,
        corpus_options=CorpusOptions(
            encoding=options["encoding"],
            lowercase=preset.lowercase if lowercase is None else lowercase,
            include=tuple(options["include"] or ()),
            exclude=tuple(options["exclude"] or ()),
        ),
        offline=options["offline"],
        preset=preset.name,
        model=dataclasses.replace(preset.model, **model_changes),
        training=training,
        root=options["root"],
        run=_named(options),
        resume=resume,
        weights_only=bool(options["weights_only"]),
        tensorboard=bool(options["tensorboard"]),
        overrides=overrides,
    )


def _named(options: Mapping[str, Any]) -> str | None:
    """Returns the name of the run, if there is one; refuses one that no new run can have."""
    name: str | None = options["run"]
    return name if name is None or options["resume"] else check_run_name(name)
