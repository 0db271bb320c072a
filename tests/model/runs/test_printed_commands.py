"""Every command that a message prints, pasted into a shell, does what the message says (C9)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_here import charlm_here
from forked import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from terminal_harness import TINY, make_words

from model.runs.printed_command import printed_command, quoted
from tui.cli.commands.app import MAX_FAREWELL_CHARACTERS, farewell
from tui.sanitise import one_line

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="there is no bash")

NAMES = (
    "plain",
    "my run",
    "-dash",
    "--resume",
    "it's",
    "a  b",
    " x ",
    "$(touch x)`y`",
    'quo"te\\n',
    "日本",
    "e\u0301🎉",
    "\u0915\u093f",
    "z" + "\u0301" * 6,
    "a\tb\nc",
    "\x1b[31m\u202e",
    os.fsdecode(b"bytes\xff9"),
    "~",
    "#",
    "*",
)
ARGUMENTS = (
    f"{sys.executable} -c 'import json, os, sys; "
    'print(json.dumps([os.fsencode(word).hex() for word in sys.argv[1:]]))\' "$@"'
)


def pasted(commands: list[str]) -> list[list[str]]:
    """Returns what a shell hands to the program for each command."""
    script = f"charlm-tui() {{ {ARGUMENTS}; }}\n" + "\n".join(commands)
    assert BASH is not None
    done = subprocess.run([BASH, "-c", script], capture_output=True, check=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [[os.fsdecode(bytes.fromhex(word)) for word in words] for words in lines]


def shown(command: str) -> str:
    """Returns a command as a message shows it on a terminal."""
    return one_line(command, MAX_FAREWELL_CHARACTERS)


def test_a_shell_hands_on_the_words_of_every_name() -> None:
    commands = [
        printed_command("watch", name, run=name, checkpoints=Path(name) / name) for name in NAMES
    ]
    for name, words in zip(NAMES, pasted([shown(command) for command in commands]), strict=True):
        assert words[-1] == name
        assert name in {words[2], words[1].removeprefix("--run=")}
        assert str(Path(name) / name) in {words[-2], words[-3], words[-2].partition("=")[2]} | {
            words[-3].partition("=")[2]
        }


@settings(max_examples=8)
@example(["\ufe0e", "a\ufe0f", "\u3164", "\u115fb", "\U000e0100", "a\u034fb"])
@given(names=st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), max_size=50))
def test_a_shell_hands_on_any_text(names: list[str]) -> None:
    names = [name for name in names if all(not "\ud800" <= c <= "\udfff" for c in name)]
    assert pasted([f"charlm-tui {shown(quoted(name))}" for name in names]) == [
        [name] for name in names
    ]


def test_names_are_written_in_ascii_where_the_terminal_cannot_show_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(encoding="latin-1"))
    assert quoted("日本 run").isascii()
    assert pasted([f"charlm-tui {quoted('日本 run')}"]) == [["日本 run"]]


# --- of a run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("printed")
    (home / "novel.txt").write_text(make_words(20_000), encoding="utf-8")
    plan = ["train", "novel.txt", "--run", "r", "--checkpoints", "first", *TINY, "--epochs", "1"]
    assert charlm_here(home, *plan).status == 0
    for name in NAMES:
        shutil.copytree(home / "first" / "r", home / "my runs" / name)
    return home


WAYS: dict[str, tuple[str, Mapping[str, str], str]] = {
    "given": ("my runs", {"CHARLM_CHECKPOINTS": "elsewhere"}, ""),
    "by the variable": ("my runs", {"CHARLM_CHECKPOINTS": "my runs"}, ""),
    "usual": ("checkpoints", {"CHARLM_CHECKPOINTS": ""}, ""),
    "by the file": ("my runs", {"CHARLM_CHECKPOINTS": ""}, "my runs"),
    "usual and not by the file": ("checkpoints", {"CHARLM_CHECKPOINTS": ""}, "elsewhere"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_farewell_tells_how_to_go_on_with_any_run(
    way: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, environment, by_file = WAYS[way]
    shutil.copytree(home / "my runs", tmp_path / root)
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config.toml"
    config.write_text(f"[defaults]\ncheckpoints = {by_file!r}\n" if by_file else "", "utf-8")
    environment = {**environment, "CHARLM_CONFIG": str(config)}
    monkeypatch.setenv("CHARLM_CHECKPOINTS", environment["CHARLM_CHECKPOINTS"])
    given = Path(root)
    if way == "usual and not by the file":
        given = tmp_path / root  # what the option makes of it
    for name in NAMES:
        state: Any = SimpleNamespace(
            crashes=[],
            run=SimpleNamespace(run=name),
            losses=SimpleNamespace(best=None),
            progress=SimpleNamespace(step=1),
        )
        session: Any = SimpleNamespace(run_path=given / name, unsaved=False)
        *_, line = farewell(state, session, saved=True)
        (words,) = pasted([shown(line).partition("go on with: ")[2]])
        # The app finds the run, then the missing terminal; what follows works without one.
        outcome = charlm_here(tmp_path, *words, environment=environment)
        assert outcome.status == 2, (name, outcome.complaint)
        train = re.search(r"`(charlm-tui.*)` (?:trains|writes) without a screen", outcome.complaint)
        assert train is not None, (name, outcome.complaint)
        (words,) = pasted([train.group(1)])
        outcome = charlm_here(
            tmp_path, *words, "--epochs", "1", "--offline", environment=environment
        )
        assert outcome.status == 0, (name, words, outcome.complaint)


def test_remedies_name_the_folder_that_was_given(home: Path, tmp_path: Path) -> None:
    found = []
    for arguments in (
        ["generate", "--run", "none", "--checkpoints", "my runs"],
        ["generate", "--checkpoints", "none here"],
        ["runs", "--checkpoints", "none here"],
        ["watch", "my run", "--checkpoints", "my runs"],
    ):
        outcome = charlm_here(home, *arguments)
        match = re.search("`(charlm-tui.*)`", outcome.complaint)
        assert match is not None, outcome.complaint
        found.append(match.group(1))
    assert pasted(found) == [
        ["runs", "--checkpoints", "my runs"],
        ["train", "--checkpoints", "none here"],
        ["train", "--checkpoints", "none here"],
        ["runs", "--checkpoints", "my runs"],
    ]


def test_every_command_in_a_message_of_ours_is_one_that_can_be_run(tmp_path: Path) -> None:
    """Messages that need no name hold a whole command, too."""
    found = set()
    for package in ("corpus", "model", "tui"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r"`charlm-tui ([a-z][a-z -]*)`", text))
    assert {"corpora", "config"} <= found
    from tui.cli.main import COMMANDS

    assert {words.split()[0] for words in found} <= set(COMMANDS)


def test_the_farewell_does_not_advertise_a_deleted_run(tmp_path: Path) -> None:
    state: Any = SimpleNamespace(
        crashes=[],
        run=SimpleNamespace(run="gone"),
        losses=SimpleNamespace(best=1.5),
        progress=SimpleNamespace(step=1),
    )
    session: Any = SimpleNamespace(run_path=tmp_path / "gone", unsaved=False)
    assert farewell(state, session, saved=True) == ["run gone was deleted"]
