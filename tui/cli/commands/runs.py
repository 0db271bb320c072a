"""``charlm-tui runs``: the saved runs and their checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from model.runs.folder import RunFolder
from model.runs.printed_command import printed_command
from model.runs.summary import summary_of
from tui.cli.options import checkpoints_option, json_option
from tui.console.exit_status import complain
from tui.console.output import say_json
from tui.console.table import print_table
from tui.sanitise import printable


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
        print_table(
            ("run", "corpus", "network", "state", "steps", "best nats", "checkpoints"),
            [_table_row(record) for record in records],
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
        **({} if run.problem is None else {"problem": run.problem}),
    }


def _table_row(record: dict[str, Any]) -> tuple[str, ...]:
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
    )
