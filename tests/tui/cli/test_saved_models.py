"""``--checkpoint``, ``--with`` and ``--mix``: saved models on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_here import Outcome, charlm_here
from two_authors import FIRST_SYMBOLS, SECOND_SYMBOLS, write_authors

from model.session.live import SavedWeights
from tui.cli.commands.app import app
from tui.cli.next_work import next_work
from tui.screens.next_session import NextSession


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_authors(tmp_path / "runs")
    return tmp_path


def generate(home: Path, *arguments: str | Path) -> Outcome:
    return charlm_here(home, "generate", "--run=one", "--seed=3", "--length=120", *arguments)


def test_two_models_write_one_text_and_what_each_lacks_is_said(home: Path) -> None:
    done = generate(home, "--with", "two")
    assert done.status == 0
    assert {"c", "é"} <= set(done.output)
    assert "one lacks 2 of the 10 symbols: f é" in done.complaint
    assert "two lacks 2 of the 10 symbols: ( c" in done.complaint
    assert "one step 1 with two step 2, mix 0.5, seed 3: 120 characters" in done.complaint


@pytest.mark.parametrize(("mix", "symbols"), [("0", FIRST_SYMBOLS), ("1", SECOND_SYMBOLS)])
def test_the_ends_of_the_mix_use_the_symbols_of_one(home: Path, mix: str, symbols: str) -> None:
    assert set(generate(home, "--with=two", f"--mix={mix}").output) <= set(symbols)


def test_a_mix_of_0_is_the_first_models_text(home: Path) -> None:
    shutil.copytree(home / "runs" / "one", home / "runs" / "twin")
    alone = generate(home, "--length=2000").output
    assert generate(home, "--length=2000", "--with=twin", "--mix=0").output == alone


def test_the_second_model_is_a_run_its_folder_or_a_file(home: Path) -> None:
    folder = home / "elsewhere"
    shutil.copytree(home / "runs" / "two", folder)
    exported = home / "model.safetensors"
    done = charlm_here(home, "export", "two", "--output", exported)
    assert done.status == 0, done.complaint
    named = [generate(home, "--with", name).output for name in ("two", folder, exported)]
    assert named[0] == named[1] == named[2]


def test_the_first_model_is_a_run_its_folder_or_a_file(home: Path) -> None:
    folder = home / "runs" / "two"
    file = folder / "step-00000002.safetensors"
    one_way, *others = (
        charlm_here(home, "generate", name, place, "--seed=3", "--length=120").output
        for name, place in (("--run", "two"), ("--checkpoint", folder), ("--checkpoint", file))
    )
    assert one_way
    assert others == [one_way, one_way]


def test_json_adds_the_second_model_and_its_weight_and_changes_nothing_else(home: Path) -> None:
    one = json.loads(generate(home, "--json").output)
    two = json.loads(generate(home, "--json", "--with=two", "--mix=0.25").output)
    assert set(two) - set(one) == {"with", "mix"}
    assert set(one) <= set(two)
    assert (two["run"], two["step"], two["with"], two["mix"]) == ("one", 1, "two", 0.25)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--with=nobody",), 4, "nobody: is neither a run nor a checkpoint file; see"),
        (("--with=two", "--mix=1.5"), 2, "--mix: 1.5 is out of range; give a number from 0 to 1"),
        (("--with=two", "--mix=nan"), 2, "--mix: nan"),
        (("--mix=0.5",), 2, "--mix: there is no second model; name one with --with"),
        (("--with=two", "--device=cuda"), 2, "--device: two models write on the CPU"),
        (("--with=empty",), 4, "empty: there is no checkpoint to write with"),
        (("--with=text.safetensors",), 4, "text.safetensors"),
    ],
)
def test_a_refusal_is_one_line(
    home: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    (home / "empty").mkdir()
    (home / "text.safetensors").write_text("no checkpoint", encoding="utf-8")
    done = generate(home, *arguments)
    assert (done.status, done.output) == (status, "")
    assert words in done.complaint
    assert done.complaint.count("\n") == 1


def test_the_app_needs_a_first_model_and_names_the_command_without_a_screen(home: Path) -> None:
    refused = charlm_here(home, "--with=two")
    assert (refused.status, refused.output) == (2, "")
    assert "--with: there is no saved model to mix with" in refused.complaint
    path = home / "runs" / "one" / "step-00000001.safetensors"
    unseen = charlm_here(home, "--checkpoint", path, "--with=two", "--mix=0.3")
    assert unseen.status == 2
    assert f"generate --checkpoint {path} --with" in unseen.complaint
    assert "--mix 0.3" in unseen.complaint


def test_two_runs_of_the_list_become_saved_weights(home: Path) -> None:
    options = {**{str(param.name): None for param in app.params}, "root": home / "runs"}
    asked = NextSession(kind="mix", run="one", second="two")
    before = SavedWeights(path=home / "other.safetensors")
    assert next_work(asked, before, options) == SavedWeights(
        path=home / "runs" / "one" / "step-00000001.safetensors",
        second=home / "runs" / "two" / "step-00000002.safetensors",
    )
