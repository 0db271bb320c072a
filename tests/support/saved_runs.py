"""Real runs in a folder, and the table of runs opened over it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from app_opened import Opened
from model_fixtures import make_checkpoint
from textual.widgets import DataTable

from model.runs.folder import RunFolder
from tui.screens.runs_screen import RunsScreen


def tmp_root() -> Path:
    return Path(tempfile.mkdtemp(prefix="charlm-runs-"))


def make_run(root: Path, name: str, *nats: float, text: str = "poem") -> RunFolder:
    """Makes a run with a validation and a checkpoint for each loss."""
    folder = RunFolder.create(root, name, fallback_name=name)
    folder.path.joinpath("run.json").write_text(
        json.dumps({"corpus": {"name": text}}), encoding="utf-8"
    )
    lines = [
        f'{{"event": "validation", "time": {10 * i}, "step": {i}, "epoch": 1, '
        f'"nats_per_character": {loss}, "bits_per_character": 1.0, "best": true}}'
        for i, loss in enumerate(nats, 1)
    ]
    (folder.path / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for step, loss in enumerate(nats, 1):
        made = make_checkpoint(step=step, nats=loss)
        digest = hashlib.sha256(text.encode()).hexdigest()
        source = replace(made.metadata.source, name=text, sha256=digest)
        metadata = replace(made.metadata, source=source)
        folder.checkpoints.save(replace(made, metadata=metadata))
    folder.unlock()
    return folder


async def at_the_table(it: Opened) -> RunsScreen:
    await it.press("o")
    screen = it.app.screen
    assert isinstance(screen, RunsScreen)
    await it.until(lambda: screen.query_one(DataTable).row_count == len(screen.runs) > 0)
    await it.pilot.pause()
    return screen
