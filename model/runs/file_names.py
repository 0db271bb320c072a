"""The names of runs and of the files in their folders, and tests of folders by these names."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from model.errors import ConfigError
from model.runs.lock import NAME as LOCK_NAME
from model.runs.lock import TURN_NAME
from model.runs.storage import TEMPORARY_FILES

DESCRIPTION_NAME: Final = "run.json"
METRICS_NAME: Final = "metrics.jsonl"
SAMPLES_NAME: Final = "samples.jsonl"
DUELS_NAME: Final = "duels.jsonl"
LOG_NAME: Final = "train.log"
NAMES_BEFORE_FIRST_CHECKPOINT: Final = (
    DESCRIPTION_NAME,
    METRICS_NAME,
    SAMPLES_NAME,
    DUELS_NAME,
)
FIXED_NAMES: Final = (LOCK_NAME, TURN_NAME, *NAMES_BEFORE_FIRST_CHECKPOINT, LOG_NAME)
LAST_DELETED: Final = (DESCRIPTION_NAME, TURN_NAME, LOCK_NAME)
"""The files that make the folder a run and keep other writers out, in the order of deletion."""

RUN_NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
"""The names that a new run may have. A renamed folder is found by any name."""
CHECKPOINT_PATTERN: Final = re.compile(r"step-(\d{8,})\.safetensors")
TENSORBOARD_FILES: Final = re.compile(r"events\.out\.tfevents\.\d+\..*\.\d+\.\d+")
UNSAVED_FILES: Final = re.compile(
    "|".join(
        [
            *map(re.escape, (LOCK_NAME, TURN_NAME, *NAMES_BEFORE_FIRST_CHECKPOINT)),
            TEMPORARY_FILES.pattern,
        ]
    )
)
"""The files that a run makes before its first checkpoint."""
RUN_FILES: Final = re.compile(
    "|".join(
        [
            UNSAVED_FILES.pattern,
            re.escape(LOG_NAME),
            CHECKPOINT_PATTERN.pattern,
            TENSORBOARD_FILES.pattern,
        ]
    )
)
"""Names of all files that a run makes. Any other file in its folder belongs to the user."""


def check_run_name(name: str) -> str:
    """Returns ``name`` if a new run may have it.

    Raises:
        ConfigError: a character is unsafe in the name of a folder or in a shell.
    """
    if not RUN_NAME_PATTERN.fullmatch(name):
        raise bad_run_name(name)
    return name


def bad_run_name(name: str) -> ConfigError:
    """Returns the error of a name that a run cannot have."""
    return ConfigError(
        "--run",
        f"{name!r} cannot name a run",
        "use up to 100 letters, digits, dots, dashes and underscores",
    )


def checkpoint_name(step: int) -> str:
    """Returns the name of the checkpoint that is made after ``step`` steps."""
    return f"step-{step:08d}.safetensors"


def step_of_checkpoint(name: str) -> int:
    """Returns the step in the name of a checkpoint file."""
    match = CHECKPOINT_PATTERN.fullmatch(name)
    assert match is not None
    return int(match[1])


def may_be_run(path: Path) -> bool:
    """Returns whether a folder holds a description, or cannot be searched for one."""
    try:
        os.lstat(path / DESCRIPTION_NAME)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def was_never_saved(path: Path) -> bool:
    """Returns whether a folder holds only files that a run makes before its first checkpoint."""
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError:
        return False
    return (LOCK_NAME in names or not names) and all(map(UNSAVED_FILES.fullmatch, names))


def is_file_of_a_run(path: Path) -> bool:
    """Returns whether a path has the name of a run's own file, in the folder of a run."""
    return RUN_FILES.fullmatch(path.name) is not None and may_be_run(path.parent)
