"""The duel without a screen: lines in, sentences out, and a score that `runs` lists."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from model_fixtures import make_request

from model.runs.folder import RunFolder
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun
from tui.cli.main import run


def trained(folder: Path, fraction: float) -> str:
    """Trains a run; returns the folder of the runs."""
    request = make_request(folder, epochs=1, validation_fraction=fraction)
    for _ in TrainingRun(request, TrainingControls()).events():
        pass
    return str(folder / "runs")


def test_a_duel_is_played_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trained(tmp_path, 0.2)
    # The passage is the whole held-out text: half of 240 characters are read.
    answers = (tmp_path / "text.txt").read_text(encoding="utf-8")[-120:]
    assert "\n" not in answers[:4]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answers[:3]}Q\nQ\n\n{answers[4]}\n"))
    assert run(["duel", "tiny", "--checkpoints", root]) == 0
    printed = capsys.readouterr().out
    assert printed.count("you at guess 1,") == 4
    assert printed.count("Q: no letter of this text") == 2
    assert printed.count("you gave up (counts as guess") == 1
    assert "from 5 letters." in printed.splitlines()[-1]
    assert run(["runs", "--checkpoints", root]) == 0
    assert "; 5 letters" in capsys.readouterr().out
    with (RunFolder(Path(root) / "tiny").path / "duels.jsonl").open("ab") as file:
        file.write(b'\x00[{"rank": 1}]\n{"event": "duel_letter", "rank": -1}\nno')
    assert run(["runs", "--json", "--checkpoints", root]) == 0
    duel = json.loads(capsys.readouterr().out)["duel"]
    assert (duel["letters"], duel["given_up"]) == (5, 1)


def test_without_a_held_out_part_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trained(tmp_path, 0.0)
    assert run(["duel", "--checkpoints", root]) != 0
    assert "holds no text out" in capsys.readouterr().err
