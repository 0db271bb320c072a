"""``charlm-tui runs``: the saved runs and their checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from model.duel.score import DuelScore
from model.runs.checkpoint_store import SavedCheckpoint
from model.runs.folder import RunFolder
from model.runs.printed_command import printed_command
from model.runs.summary import RunSummary, summary_of
from tui.cli.options import checkpoints_option, json_option
from tui.console.exit_status import complain
from tui.console.output import say_json
from tui.console.table import print_table
from tui.sanitise import printable

_HEADINGS: Final = ("run", "corpus", "network", "state", "steps", "best nats", "checkpoints")


@click.command()
@checkpoints_option
@json_option
def runs(*, root: Path, as_json: bool) -> None:
    """List the saved runs and their checkpoints, oldest first."""
    folders = sorted(RunFolder.all(root), key=lambda folder: folder.checkpoints.last_written())
    runs_of_folders = [(folder, summary_of(folder, complain)) for folder in folders]
    if as_json:
        for folder, run in runs_of_folders:
            say_json(describe(folder, run))
    elif not folders:
        train = printed_command("train", checkpoints=root)
        print(f"no runs in {printable(str(root))}; `{train}` makes one", file=sys.stderr)
    else:
        played = any(run.duel for _, run in runs_of_folders)
        print_table(
            (*_HEADINGS, *(["duel"] if played else [])),
            [_table_row(run, played=played) for _, run in runs_of_folders],
        )


def describe(folder: RunFolder, run: RunSummary) -> dict[str, Any]:
    """Returns the facts of a run for JSON."""
    return {
        "run": run.name,
        "path": str(folder.path),
        "corpus": run.corpus,
        "network": run.network,
        "steps": run.steps,
        "best_nats_per_character": run.best_nats,
        "checkpoints": [
            {
                "step": item.metadata.step,
                "path": str(item.path),
                "nats_per_character": item.metadata.nats_per_character,
                "best": _is_best(run, item),
            }
            for item in run.checkpoints
        ],
        "state": run.state,
        **({} if run.duel is None else {"duel": _duel_facts(run.duel)}),
        **({} if run.problem is None else {"problem": run.problem}),
    }


def _is_best(run: RunSummary, saved: SavedCheckpoint) -> bool:
    return run.best_nats is not None and saved.path == run.best_path


def _duel_facts(score: DuelScore) -> dict[str, Any]:
    """Returns the score of all duels of a run, with bits per character."""
    return {
        "letters": score.human.letters,
        "given_up": score.given_up,
        "human_bits_lower_bound": score.human.lower,
        "human_bits_upper_bound": score.human.upper,
        "model_bits_per_character": score.model_bits,
        "model_bits_lower_bound": score.model.lower,
        "model_bits_upper_bound": score.model.upper,
    }


def _table_row(run: RunSummary, *, played: bool) -> tuple[str, ...]:
    """Returns the cells of a run.

    Args:
        run: its facts.
        played: whether the table has a column for duels.
    """
    steps = [
        f"{item.metadata.step:,}{' (best)' if _is_best(run, item) else ''}"
        for item in run.checkpoints
    ]
    return (
        run.name,
        run.corpus,
        run.network,
        run.state if run.problem is None else f"unreadable: {run.problem}",
        f"{run.steps:,}",
        "" if run.best_nats is None else f"{run.best_nats:.4f}",
        "  ".join(steps),
        *(["" if run.duel is None else run.duel.words] if played else []),
    )
