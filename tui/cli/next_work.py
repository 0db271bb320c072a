"""What a session works on that the user asked for in the app, as another session of the same app.

The keys `o`, `E` and `R` close a session and open the next one here, on the same machine options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from corpus import STANDARD_INPUT_NAMES
from model.errors import CheckpointError
from model.runs.checkpoint import CheckpointMetadata
from model.runs.folder import RunFolder
from model.runs.request import RunRequest
from model.session.live import SavedWeights
from tui.cli.excerpt import EXCERPT_PRESET, excerpt_of
from tui.cli.request import require_there, run_request
from tui.cli.saved_models import best_checkpoint

if TYPE_CHECKING:
    from tui.screens.next_session import NextSession

_OF_EVERY_SESSION: Final = ("root", "offline", "encoding")
_OF_A_NEW_RUN: Final = (
    *_OF_EVERY_SESSION,
    *("lowercase", "include", "exclude", "validation_fraction", "checkpoint_every", "tensorboard"),
    *("network", "minutes", "seed", "device", "precision", "threads"),
)
"""Options that a run with another preset keeps: the text, the network, the time and the
machine."""


def next_work(
    successor: NextSession, work: RunRequest | SavedWeights, options: Mapping[str, Any]
) -> RunRequest | SavedWeights:
    """Returns the run to begin or to resume, or the weights to open.

    Args:
        successor: what the user asked for.
        work: of the session that has ended.
        options: of the command line.

    Raises:
        UserError: the run or its text does not exist any more.
    """
    if successor.kind == "open":
        path = successor.path or best_checkpoint(options["root"] / successor.run)
        return SavedWeights(path=path)
    if successor.kind == "mix":
        assert successor.second is not None, "two runs were chosen"
        # Found only now: the session that ended may have saved one of the two.
        first, second = (
            best_checkpoint(options["root"] / name) for name in (successor.run, successor.second)
        )
        return SavedWeights(path=first, second=second)
    if successor.kind == "resume":
        request = _resumed(successor, options)
    elif successor.kind == "excerpt":
        text = _again(replace(successor, preset=EXCERPT_PRESET), work, options)
        request = excerpt_of(text)
    else:
        request = _again(successor, work, options)
    require_there(request)
    return request


def _resumed(successor: NextSession, options: Mapping[str, Any]) -> RunRequest:
    asked = {"run": successor.run, "resume": True}
    if successor.minutes is not None:
        trained = _last_checkpoint(options["root"] / successor.run).seconds / 60
        asked["minutes"] = trained + successor.minutes
    return run_request(None, {**_only(_OF_EVERY_SESSION, options), **asked})


def _again(
    successor: NextSession, work: RunRequest | SavedWeights, options: Mapping[str, Any]
) -> RunRequest:
    kept = {**_only(_OF_A_NEW_RUN, options), "preset": successor.preset}
    if isinstance(work, RunRequest) and work.corpus is not None:
        if work.resume:
            kept["network"] = _last_checkpoint(options["root"] / successor.run).model.network
        return run_request(work.corpus, kept)
    metadata = _last_checkpoint(options["root"] / successor.run)
    source, kept["network"] = metadata.source, metadata.model.network
    kept |= {"encoding": source.encoding, "include": source.include, "exclude": source.exclude}
    # A text that was lower-cased stays so; otherwise the preset decides.
    kept["lowercase"] = (
        kept["lowercase"] if kept["lowercase"] is not None else source.lowercase or None
    )
    return run_request(source.specification, kept)


def _only(names: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns these options; all others as if they had not been given."""
    return {name: options[name] if name in names else None for name in options}


def can_train_longer(work: RunRequest | SavedWeights, root: Path) -> bool:
    """Tells whether the session's run lies among the runs, so that it can be resumed by name."""
    return isinstance(work, RunRequest) or _source_of_weights(work, root) != ""


def can_train_again(work: RunRequest | SavedWeights, root: Path) -> bool:
    """Tells whether another run can read the session's text; standard input is read once."""
    if isinstance(work, SavedWeights):
        return _source_of_weights(work, root) not in {"", "-"}
    if work.corpus is not None:
        return work.corpus not in STANDARD_INPUT_NAMES
    return _source_of(RunFolder.find(root, work.run).path) not in {"", "-"}


def _source_of_weights(work: SavedWeights, root: Path) -> str:
    """Returns what the text of the weights' run was named by; an empty text if it is elsewhere."""
    folder = work.path.absolute().parent
    return _source_of(folder) if folder.parent == root.absolute() else ""


def _source_of(folder: Path) -> str:
    """Returns what a run's text was named by; an empty text if there is no such run."""
    try:
        return _last_checkpoint(folder).source.specification
    except CheckpointError:
        return ""


def _last_checkpoint(folder: Path) -> CheckpointMetadata:
    """Returns the metadata of a run's newest readable checkpoint.

    Raises:
        CheckpointError: there is none.
    """
    saved = RunFolder(folder).checkpoints.saved(lambda _: None)
    if not saved:
        raise CheckpointError(
            str(folder), "there is no checkpoint to go on from", "train it again from its text"
        )
    return saved[-1].metadata
