"""A run that an older version wrote: today's version reads it and goes on with it as that one did.

Each folder `written_by_VERSION` holds a run and `said.json`: what that version said of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_here import charlm_here
from model_fixtures import of_kind

from corpus import CorpusOptions
from model.config import ModelConfig, TrainingConfig
from model.events import StepFinished
from model.runs.folder import RunFolder
from model.runs.request import RunRequest
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

WRITTEN = Path(__file__).with_name("written_by_0.1.0")
SAID: dict[str, Any] = json.loads((WRITTEN / "said.json").read_text(encoding="utf-8"))
BEST, LATEST = 18, 22
RELATIVE_TOLERANCE = 2e-4
"""Of losses: processors add in different orders, and three steps let the differences grow."""
TIMINGS = {"seconds", "characters_per_second"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copytree(WRITTEN / "letter", tmp_path / "runs" / "letter")
    shutil.copy(WRITTEN / "letter.txt", tmp_path)
    return tmp_path


def no_warning(text: str) -> None:
    pytest.fail(text)


@pytest.mark.parametrize(
    "said", SAID["commands"], ids=[" ".join(said["command"]) for said in SAID["commands"]]
)
def test_a_command_prints_what_the_older_version_printed(home: Path, said: dict[str, Any]) -> None:
    outcome = charlm_here(home, *said["command"], "--checkpoints", "runs")
    assert outcome.status == 0, outcome.complaint
    printed = [json.loads(line) for line in outcome.output.splitlines()]
    assert len(printed) == len(said["printed"])
    for now, then in zip(printed, said["printed"], strict=True):
        assert set(then) <= set(now), "a field is gone"
        for name in set(then) - TIMINGS:
            value = then[name]
            if isinstance(value, float):
                value = pytest.approx(value, rel=RELATIVE_TOLERANCE)
            assert now[name] == value, name


def test_metadata_latest_and_best_are_those_that_were_written(home: Path) -> None:
    store = RunFolder.find(home / "runs", "letter").checkpoints
    assert [saved.metadata.step for saved in store.saved(no_warning)] == [BEST, LATEST]
    latest, best = (load(no_warning).metadata for load in (store.load_latest, store.load_best))
    assert (latest.step, latest.epoch, latest.nats_per_character) == (LATEST, 3, None)
    assert (best.step, best.epoch) == (BEST, 2)
    assert best.nats_per_character == latest.best_nats_per_character == 2.9629837630631086
    assert latest.model == ModelConfig(hidden=8, layers=1, embedding=4, dropout=0.1)
    assert latest.training.sequence == 32
    assert "".join(latest.vocabulary.symbols) == "\n ',.:;abcdefghiklmnopqrstuvwxy"
    assert latest.source.lowercase
    assert latest.source.characters == 1553


def test_a_resumed_run_goes_on_with_the_losses_of_the_older_version(home: Path) -> None:
    then: list[float] = SAID["losses_of_the_next_steps"]
    request = RunRequest(
        corpus=str(home / "letter.txt"),
        corpus_options=CorpusOptions(),
        preset="quality",
        model=ModelConfig(),
        training=TrainingConfig(),
        root=home / "runs",
        run="letter",
        resume=True,
    )
    controls = TrainingControls()
    now: list[StepFinished] = []
    for event in TrainingRun(request, controls).events():
        now += of_kind([event], StepFinished)
        if len(now) == len(then):
            controls.stop(hurry=True)
    assert [event.step for event in now] == [LATEST + 1 + n for n in range(len(then))]
    assert [event.epoch for event in now] == [3] * len(then)
    assert [event.loss for event in now] == pytest.approx(then, rel=RELATIVE_TOLERANCE)
