"""``charlm-tui runs``: the saved runs and their checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from model.duel.score import DuelScore
from model.runs.folder import RunFolder
from model.runs.printed_command import printed_command
from model.runs.summary import summary_of
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
    records = [describe(folder) for folder in folders]
    if as_json:
        for record in records:
            say_json(record)
    elif not records:
        train = printed_command("train", checkpoints=root)
        print(f"no runs in {printable(str(root))}; `{train}` makes one", file=sys.stderr)
    else:
        played = any("duel" in record for record in records)
        print_table(
            (*_HEADINGS, *(["duel, bits (bounds)"] if played else [])),
            [_table_row(record, played=played) for record in records],
        )


def describe(folder: RunFolder) -> dict[str, Any]:
    """Returns the facts of a run without reading its tensors; warns about damaged files."""
    run = summary_of(folder, complain)
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
                "best": run.best_nats is not None and item.path == run.best_path,
            }
            for item in run.checkpoints
        ],
        "state": run.state,
        **({} if run.duel is None else {"duel": _duel_facts(run.duel)}),
        **({} if run.problem is None else {"problem": run.problem}),
    }


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


def _table_row(record: dict[str, Any], *, played: bool) -> tuple[str, ...]:
    """Returns the cells of a run.

    Args:
        record: what `describe` returns.
        played: whether the table has a column for duels.
    """
    best = record["best_nats_per_character"]
    steps = [
        f"{item['step']:,}{' (best)' if item['best'] else ''}" for item in record["checkpoints"]
    ]
    return (
        record["run"],
        record["corpus"],
        record["network"],
        f"unreadable: {record['problem']}" if "problem" in record else record["state"],
        f"{record['steps']:,}",
        "" if best is None else f"{best:.4f}",
        "  ".join(steps),
        *([_duel_words(record.get("duel"))] if played else []),
    )


def _duel_words(duel: dict[str, Any] | None) -> str:
    if duel is None:
        return ""
    low, high = duel["human_bits_lower_bound"], duel["human_bits_upper_bound"]
    model = duel["model_bits_per_character"]
    return f"you {low:.2f} to {high:.2f}, model {model:.2f}; {duel['letters']:,} letters"
