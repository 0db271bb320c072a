"""Mistyped commands, options and names: one line with the nearest one, and the status as before."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.nearest import nearest
from tui.cli.main import COMMANDS, run


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [
        (
            "trian",
            3,
            "trian: no such command, file or built-in text; did you mean `charlm-tui train`?",
        ),
        ("trian text.txt", 2, "did you mean `charlm-tui train`?"),
        ("genrate --length 5", 2, "did you mean `charlm-tui generate`?"),
        ("--debug evalute", 3, "did you mean `charlm-tui evaluate`?"),
        ("nietzche", 3, "did you mean nietzsche?"),
        ("train nietsche", 3, "did you mean nietzsche?"),
        ("train --hiden 5", 2, "No such option --hiden; did you mean --hidden?"),
        ("--tempratur 1", 2, "did you mean --temperature?"),
        ("train --no-gard", 2, "did you mean --no-guard?"),
        ("generate --strems 2", 2, "did you mean --streams?"),
        ("train --preset quik", 2, "did you mean 'quick'?"),
        ("--theme nrd", 2, "did you mean 'nord'?"),
    ],
)
def test_the_nearest_name_is_offered(
    typed: str,
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(typed.split()) == status
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith("charlm-tui: ")
    assert words in complaint
    assert complaint.count("did you mean") == 1


@pytest.mark.parametrize("typed", ["trian --hiden 5", "trian more.txt"])
def test_a_text_that_is_there_is_not_taken_for_a_command(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trian").write_text("a text")
    assert run(typed.split()) == 2
    assert "no such command" not in capsys.readouterr().err


def test_nothing_is_offered_for_a_word_like_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["zzzzzz"]) == 3
    assert run(["train", "--zzzzzz"]) == 2
    assert "did you mean" not in capsys.readouterr().err


@given(st.sampled_from(sorted(set(COMMANDS) - {"(app)"})), st.data())
def test_two_swapped_letters_of_a_command_are_understood(command: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(command) - 2))
    mistyped = command[:place] + command[place + 1] + command[place] + command[place + 2 :]
    assert nearest(mistyped, COMMANDS) == command


def test_an_option_that_is_like_no_other_gets_no_nearest_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All options begin with the same two dashes, which make none of them more alike."""
    assert run(["train", "--nosuch", "2"]) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint == "charlm-tui: No such option --nosuch. See `charlm-tui --help`."
