"""`export --curve`: the loss curve of a run without a screen."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from app_script import training
from model_fixtures import TEXT, make_checkpoint

from corpus import load_corpus, resolve_source
from model import events as ev
from model.runs.folder import RunFolder
from tui.cli.main import run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run of three steps, and its text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARLM_CHECKPOINTS", raising=False)
    (tmp_path / "text.txt").write_text(TEXT)
    folder = RunFolder.create(tmp_path / "checkpoints", "tiny", fallback_name="tiny")
    folder.write_description({"run": "tiny"})
    lines = [
        ev.to_json_line(event) for event in training(30) if isinstance(event, ev.RecordedEvent)
    ]
    (folder.path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    folder.checkpoints.save(make_checkpoint(30, nats=2.0, best_nats=2.0))
    folder.unlock()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "beginning"), [("c.svg", b"<svg"), ("c.PNG", b"\x89PNG"), ("c.pdf", b"%PDF")]
)
def test_a_command_writes_the_curve_by_the_ending_of_its_name(
    name: str, beginning: bytes, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "tiny", "--curve", name]) == 0
    assert capsys.readouterr().out == f"wrote {name}: the loss curve of tiny\n"
    light = (home / name).read_bytes()
    assert light.startswith(beginning)
    assert run(["export", "tiny", "--curve", name]) == 2
    assert "is there already; give --force, or another --curve" in capsys.readouterr().err
    assert (home / name).read_bytes() == light
    assert run(["export", "tiny", "--curve", name, "--dark", "--force"]) == 0
    assert (home / name).read_bytes() != light
    assert not (home / "tiny.safetensors").exists()


def test_a_command_measures_the_compressors_on_the_run_s_own_text_only(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "tiny", "--curve", "without.svg"]) == 0
    assert (
        "the curve has no lines to compare with: text.txt: is no longer" in capsys.readouterr().err
    )
    assert "xz" not in (home / "without.svg").read_text()
    made = make_checkpoint(31, nats=2.0)
    digest = load_corpus(resolve_source("text.txt"), made.metadata.source.options()).sha256
    source = replace(made.metadata.source, sha256=digest)
    store = RunFolder(home / "checkpoints" / "tiny").checkpoints
    store.save(replace(made, metadata=replace(made.metadata, source=source)))
    assert run(["export", "tiny", "--curve", "with.svg"]) == 0
    assert capsys.readouterr().err == ""
    assert ">xz " in (home / "with.svg").read_text()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--curve", "c.txt"], "c.txt has no ending of a picture; end it in .svg, .png, .pdf"),
        (["--curve", "-"], "- has no ending of a picture"),
        (["--curve", "c.svg", "--output", "x"], "--output names another file; give one of them"),
        (["--dark"], "--dark: there is no curve to draw; give --curve"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    words: list[str], complaint: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "tiny", *words]) == 2
    assert complaint in capsys.readouterr().err
    assert {path.name for path in home.iterdir()} == {"checkpoints", "text.txt"}


def test_a_run_without_a_curve_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "checkpoints" / "tiny" / "metrics.jsonl").unlink()
    assert run(["export", "tiny", "--curve", "c.svg"]) == 2
    assert "tiny: the run has recorded no curve" in capsys.readouterr().err


def test_a_pipe_of_settings_does_not_hang(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tui.export.curve_drawing", raising=False)
    os.mkfifo(home / "matplotlibrc")
    assert run(["export", "tiny", "--curve", "c.svg"]) == 2
