"""Which file ``--checkpoint`` and ``--with`` mean, and how much the second model counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.config import require_range
from model.errors import CheckpointError, ConfigError
from model.runs.folder import RunFolder
from model.runs.printed_command import printed_command
from model.runs.summary import summary_of
from tui.console.exit_status import complain

DEFAULT_MIX = 0.5


def mix_of(options: Mapping[str, Any]) -> float:
    """Returns the weight of the second model, 0 to 1.

    Raises:
        ConfigError: it is out of range, or there is no second model.
    """
    mix: float | None = options["mix"]
    if mix is None:
        return DEFAULT_MIX
    require_range("mix", mix, 0, 1)
    if options["second"] is None:
        raise ConfigError("--mix", "there is no second model", "name one with --with")
    return mix


def find_second(named: str, root: Path) -> Path:
    """Returns the checkpoint file of the model that ``--with`` names.

    Args:
        named: a run under ``root``; otherwise the folder of a run, or a checkpoint file.
        root: folder of the runs.

    Raises:
        CheckpointError: there is no such run or file, or the run has no checkpoint.
    """
    if any(run.name == named for run in RunFolder.all(root)):
        return best_checkpoint(root / named)
    path = checkpoint_file(Path(named))
    if not path.is_file():
        raise CheckpointError(
            named,
            "is neither a run nor a checkpoint file",
            f"see `{printed_command('runs', checkpoints=root)}` for the runs that exist",
        )
    return path


def checkpoint_file(path: Path) -> Path:
    """Returns a file as it is, and for the folder of a run its best checkpoint.

    Raises:
        CheckpointError: the folder holds no readable checkpoint.
    """
    return best_checkpoint(path) if path.is_dir() else path


def best_checkpoint(folder: Path) -> Path:
    """Returns the checkpoint file of a run from which it writes best.

    Raises:
        CheckpointError: the folder holds no readable checkpoint.
    """
    best = summary_of(RunFolder(folder), complain).best_path
    if best is None:
        raise CheckpointError(
            str(folder), "there is no checkpoint to write with", "name a run that has one"
        )
    return best
