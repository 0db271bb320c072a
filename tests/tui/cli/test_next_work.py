"""What follows a session that its user left for another one."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_here import charlm_here
from model_fixtures import TEXT

from corpus import UserError
from model.runs.folder import RunFolder
from model.runs.request import RunRequest
from model.session.live import SavedWeights
from tui.cli.commands.app import app
from tui.cli.excerpt import EXCERPT_MINUTES
from tui.cli.next_work import can_train_again, can_train_longer, next_work
from tui.cli.request import run_request
from tui.screens.next_session import NextSession

SETTINGS = (
    "--hidden=8", "--batch=4", "--sequence=16", "--epochs=1", "--seed=3", "--precision=fp32",
    "--device=cpu", "--threads=1", "--preset=quick", "--lowercase",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("next")
    (home / "u.txt").write_text(TEXT.title(), encoding="utf-8")
    done = charlm_here(home, "train", "u.txt", "--run", "r", *SETTINGS)
    assert done.status == 0, done.complaint
    return home


@pytest.fixture
def options(home: Path) -> dict[str, Any]:
    """What the command line hands the app if only the folder of runs and a seed are given."""
    return {
        **{str(param.name): None for param in app.params},
        "root": home / "runs",
        "seed": 7,
    }


@pytest.fixture
def opened(options: dict[str, Any]) -> SavedWeights:
    return SavedWeights(path=RunFolder(options["root"] / "r").checkpoints.paths()[-1])


def test_longer_counts_from_what_the_run_was_trained(
    options: dict[str, Any], opened: SavedWeights
) -> None:
    trained = RunFolder(options["root"] / "r").checkpoints.saved(print)[-1].metadata.seconds
    work = next_work(NextSession(kind="resume", run="r", minutes=2.5), opened, options)
    assert isinstance(work, RunRequest)
    assert (work.run, work.resume, work.corpus) == ("r", True, None)
    assert work.overrides == {"minutes": trained / 60 + 2.5, "epochs": None} or (
        work.overrides == {"minutes": trained / 60 + 2.5}
    )


def test_another_preset_keeps_the_network_of_the_run(
    home: Path, options: dict[str, Any], opened: SavedWeights
) -> None:
    request = run_request("u.txt", {**options, "network": "gru", "preset": "quick"})
    assert (request.model.network, request.model.hidden) == ("gru", 144)
    asked = NextSession(kind="again", run="r", preset="balanced")
    begun = dataclasses.replace(request, corpus=str(home / "u.txt"))
    again = next_work(asked, begun, options | {"network": "gru"})
    resumed = next_work(asked, dataclasses.replace(begun, resume=True), options)
    of_weights = next_work(asked, opened, options | {"network": "gru"})
    for work, network in ((again, "gru"), (resumed, "lstm"), (of_weights, "lstm")):
        assert isinstance(work, RunRequest)
        assert (work.model.network, work.preset) == (network, "balanced")


def test_a_run_that_is_only_resumed_keeps_its_plan(
    options: dict[str, Any], opened: SavedWeights
) -> None:
    work = next_work(NextSession(kind="resume", run="r"), opened, options)
    assert isinstance(work, RunRequest)
    assert dict(work.overrides) == {}


def test_another_preset_reads_the_text_of_the_run_in_the_same_way(
    home: Path, options: dict[str, Any], opened: SavedWeights
) -> None:
    asked = NextSession(kind="again", run="r", preset="balanced")
    work = next_work(asked, opened, options)
    assert isinstance(work, RunRequest)
    assert (work.corpus, work.preset) == (str(home / "u.txt"), "balanced")
    assert (work.resume, work.run) == (False, None)
    assert work.model.hidden == 256
    assert work.corpus_options.lowercase
    assert work.training.seed == 7


def test_another_preset_keeps_the_text_that_was_named(home: Path, options: dict[str, Any]) -> None:
    text = str(home / "u.txt")
    first = run_request(text, {**options, "hidden": 8, "minutes": 3.0, "preset": "quick"})
    asked = NextSession(kind="again", run="not yet saved", preset="quality")
    given = {**options, "hidden": 8, "minutes": 3.0, "preset": "quick"}
    work = next_work(asked, first, given)
    assert isinstance(work, RunRequest)
    assert (work.corpus, work.model.hidden, work.training.minutes) == (text, 512, 3.0)
    assert not work.corpus_options.lowercase


def test_a_run_that_is_gone_is_one_line(options: dict[str, Any], opened: SavedWeights) -> None:
    with pytest.raises(UserError, match=r"gone: .*no checkpoint"):
        next_work(NextSession(kind="resume", run="gone", minutes=1.0), opened, options)


def test_what_can_be_offered(home: Path, options: dict[str, Any], opened: SavedWeights) -> None:
    root = options["root"]
    piped, named = (run_request(name, options) for name in ("-", str(home / "u.txt")))
    resumed = run_request(None, {**options, "resume": True})
    copy = home / "copy.safetensors"
    shutil.copy(opened.path, copy)
    exported = SavedWeights(path=copy)
    longer = [can_train_longer(work, root) for work in (piped, named, resumed, opened, exported)]
    again = [can_train_again(work, root) for work in (piped, named, resumed, opened, exported)]
    assert longer == [True, True, True, True, False]
    assert again == [False, True, True, True, False]


def test_the_lesson_trains_on_the_first_2000_characters_and_opens_the_run_before(
    home: Path, options: dict[str, Any], opened: SavedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_CACHE", str(home / "cache"))
    asked = NextSession(kind="excerpt", run="r")
    work = next_work(asked, opened, {**options, "minutes": 30.0, "include": ()})
    assert isinstance(work, RunRequest)
    assert work.corpus is not None
    # The run had lower-cased its text, and so does the excerpt.
    assert Path(work.corpus).read_text(encoding="utf-8") == TEXT.lower()[:2000]
    assert work.run is None, "it takes a new name"
    assert work.training.minutes == EXCERPT_MINUTES
    assert can_train_again(work, options["root"]), "which leads back"
    back = next_work(NextSession(kind="open", run="r"), work, options)
    assert back == opened
