"""What `--resume` takes, refuses and says: one rule for every option, and remedies that work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_here import Outcome, assert_one_line, charlm_here
from model_fixtures import TEXT

from corpus import CorpusError
from model.runs.folder import RunFolder
from tui.cli import options, request
from tui.cli.commands.train import train

SETTINGS = (
    "--hidden=8", "--layers=1", "--embedding=4", "--batch=4", "--sequence=16", "--epochs=1",
    "--seed=3", "--precision=fp32", "--device=cpu", "--threads=1", "--preset=quick",
)  # fmt: skip
OTHERS = {
    "preset": "quality", "hidden": "9", "layers": "2", "embedding": "5", "averaging": "0.5",
    "batch": "5", "sequence": "17", "validation_fraction": "0.2", "lowercase": None,
    "network": "gru", "teacher_share": "0.3",
}  # fmt: skip
"""Options that a begun run cannot change, with other values than it has."""
OF_TRAINING = {
    "averaging", "batch", "sequence", "validation_fraction", "teacher_share",
}  # fmt: skip
"""Those of them that can be changed where only the weights are used."""
TAKEN = {
    "run", "resume", "weights_only", "root", "tensorboard", "include", "exclude", "encoding",
    "offline", "seed", "as_json", "corpus",
}  # fmt: skip
"""Options that are no setting of a begun run, or that it takes."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("trained")
    (home / "u.txt").write_text(TEXT, encoding="utf-8")
    done = charlm_here(home, "train", "u.txt", "--run", "r", *SETTINGS)
    assert done.status == 0, done.complaint
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Iterator[Path]:
    """Yields the home folder again, whole."""
    kept = tmp_path / "kept"
    shutil.copytree(trained, kept)
    yield trained
    shutil.rmtree(trained)
    shutil.copytree(kept, trained)


def resume(home: Path, *more: str) -> Outcome:
    return charlm_here(home, "train", "--resume", "--run", "r", "--json", *more)


def test_every_option_is_refused_or_taken_on_resume() -> None:
    """C23: none is left out in silence; a new option has to be put in one of the sets."""
    names = {param.name for param in train.params}
    assert names == set(OTHERS) | TAKEN | options.NEW_ON_RESUME


@pytest.mark.parametrize(
    ("name", "more"),
    [
        *((name, ()) for name in OTHERS),
        *((name, ("--weights-only",)) for name in OTHERS if name not in OF_TRAINING),
    ],
)
def test_what_a_begun_run_cannot_change_is_refused(
    name: str, more: tuple[str, ...], trained: Path
) -> None:
    value = OTHERS[name]
    option = f"--{name.replace('_', '-')}"
    done = resume(trained, option if value is None else f"{option}={value}", *more)
    assert_one_line(done, 4, f"the saved run has {name.replace('_', '-')} ")


def test_settings_given_again_as_they_were_are_no_change(home: Path) -> None:
    done = resume(home, *SETTINGS, "--no-lowercase", "--epochs=2")
    assert done.status == 0, done.complaint
    assert "changes nothing" not in done.output


def test_another_seed_of_a_begun_run_is_said_to_change_nothing(home: Path) -> None:
    done = resume(home, "--seed=4", "--epochs=2")
    assert done.status == 0
    assert "--seed changes nothing in the training" in done.output


def test_a_preset_of_the_users_file_is_for_new_runs(home: Path) -> None:
    folder = home / ".config" / "charlm-tui"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[defaults]\npreset = "quality"\n', encoding="utf-8")
    environment = {"XDG_CONFIG_HOME": str(home / ".config")}
    words = ("train", "--resume", "--run", "r", "--epochs=2")
    done = charlm_here(home, *words, environment=environment)
    assert done.status == 0, done.complaint


@pytest.mark.parametrize("option", ["--hidden=8", "--preset=quick", "--lowercase", "--epochs=3"])
def test_options_of_a_training_are_refused_with_saved_weights(option: str, trained: Path) -> None:
    [path] = (trained / "runs" / "r").glob("step-*")
    done = charlm_here(trained, "--checkpoint", path, option)
    assert_one_line(done, 2, "nothing is trained with --checkpoint")


def test_a_text_that_is_gone_has_a_remedy_that_works(home: Path) -> None:
    """C25: a neighbour's name is no hint where nobody typed one."""
    (home / "u.txt").rename(home / "u_all.txt")
    for words in (("train", "--resume", "--json"), ("evaluate",)):
        done = charlm_here(home, *words, "--run", "r")
        assert_one_line(done, 3, "no such file", "name the text that the run goes on with")
        assert "did you mean" not in done.complaint
    done = charlm_here(home, "train", "u_all.txt", "--resume", "--run", "r", "--epochs=2")
    assert done.status == 0, done.complaint


def test_a_text_that_is_too_short_has_a_remedy_that_works(home: Path) -> None:
    (home / "u.txt").write_text(TEXT[:12], encoding="utf-8")
    assert_one_line(resume(home), 3, "give --weights-only with a smaller --sequence")
    done = resume(home, "--weights-only", "--sequence=4", "--epochs=2")
    assert done.status == 0, done.complaint


def test_a_run_from_elsewhere_says_which_text_it_names(home: Path) -> None:
    """B11: its metadata may name any file of this machine."""
    words = "the run has no record that it began in this folder; its text is "
    assert words not in resume(home, "--epochs=2").output
    (home / "runs" / "r").rename(home / "runs" / "from-elsewhere")
    named = charlm_here(home, "train", "--resume", "--epochs=3", "--json")
    warnings = [json.loads(line).get("text", "") for line in named.output.splitlines()]
    assert f"{words}{home / 'u.txt'}" in warnings
    given = charlm_here(home, "train", "u.txt", "--resume", "--epochs=4", "--json")
    assert words not in given.output


def test_on_a_terminal_a_run_from_elsewhere_is_asked_about(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B11, and a no ends it before anything is read."""
    moved = home / "runs" / "moved"
    (home / "runs" / "r").rename(moved)
    asked: list[str] = []

    def answer(question: str, *, err: bool) -> bool:
        assert err
        asked.append(question)
        return False

    monkeypatch.setattr(click, "confirm", answer)
    with pytest.raises(CorpusError, match="was declined; name the text as CORPUS"):
        request.confirm_text(RunFolder(moved))
    start = "moved has no record that it began in this folder."
    assert asked == [f"{start} It trains on {home / 'u.txt'}. Go on?"]
