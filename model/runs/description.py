"""What ``run.json`` holds of a new run, and the name that a run has by default. No torch."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import re
import time
import uuid
from typing import Any

from corpus import Corpus
from model.plan.ladder import Plan
from model.runs.corpus_record import CorpusRecord
from model.runs.folder import RunFolder
from model.runs.request import RunRequest

MAX_SLUG_CHARACTERS = 40
"""Longest part of a run's name that comes from the name of its text."""


def slug(name: str) -> str:
    """Returns a text's name in the characters that a run's name may have."""
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", name.rsplit(".", 1)[0]).strip("-")[:MAX_SLUG_CHARACTERS]
    return slug or "run"


def description_of(
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
