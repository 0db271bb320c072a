"""The whole command line where no home folder is known, and `~` where no shell expands it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_here import charlm_here
from forked import ROOT
from patience import PATIENCE
from terminal_harness import TINY, make_words

from tui.cli.commands.app import app
from tui.config.user_config import default_map, read_config

COMMANDS = (
    ["--version"],
    ["--help"],
    ["config"],
    ["runs"],
    ["corpora"],
    ["train", "novel.txt", "--json", "--run", "r", "--checkpoints", "runs", *TINY, "--epochs", "1"],
    ["generate", "--checkpoints", "runs", "--length", "20"],
    ["evaluate", "--checkpoints", "runs"],
)
SCRIPT = """
import json, os, pwd, sys
from tui.cli.main import run

def unknown(_):
    raise KeyError

pwd.getpwuid = unknown
for command in json.loads(sys.argv[1]):
    print(command[0], run(command), flush=True)
"""
"""Runs commands as a user whom the table of users does not have, as in a container."""


@pytest.mark.parametrize("home", [None, "relative"])
def test_every_command_runs_without_a_home(home: str | None, tmp_path: Path) -> None:
    """C11: every command, even --version, was a defect."""
    (tmp_path / "novel.txt").write_text(make_words(20_000), encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    unset = ("HOME", "CHARLM_CONFIG", "CHARLM_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(ROOT)}
    environment |= {} if home is None else {"HOME": home}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(COMMANDS)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert "defect" not in done.stderr
    for command in COMMANDS:
        assert f"{command[0]} 0\n" in done.stdout, (command, done.stdout, done.stderr)
    assert "the home folder is not known" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"novel.txt", "temporary", "runs"}


@pytest.mark.parametrize("way", ["option", "variable", "file"])
def test_runs_go_to_the_home_folder_whoever_writes_the_tilde(way: str, tmp_path: Path) -> None:
    """C10: `checkpoints = "~/runs"` made a folder called `~`."""
    config = tmp_path / "config.toml"
    config.write_text('[defaults]\ncheckpoints = "~/mine"\n', encoding="utf-8")
    environment = {
        "option": {},
        "variable": {"CHARLM_CHECKPOINTS": "~/mine"},
        "file": {"CHARLM_CONFIG": "~/config.toml", "CHARLM_CHECKPOINTS": ""},
    }[way]
    arguments = ["--checkpoints=~/mine"] if way == "option" else []
    outcome = charlm_here(tmp_path, "runs", *arguments, environment=environment)
    assert outcome.complaint.startswith(f"no runs in {tmp_path}/mine; `charlm-tui train")


def test_a_setting_of_the_file_is_a_path_of_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "config.toml"
    path.write_text('[defaults]\ncheckpoints = "~/mine"\n', encoding="utf-8")
    assert default_map(read_config(path, [], app.params), app.params) == {"root": "~/mine"}
