"""Watching a run that somebody else trains."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from model_fixtures import make_request, of_kind
from patience import wait_until

from model.commands import PauseTraining, SetSampling
from model.config import SamplingConfig
from model.events import (
    CharacterWritten,
    CheckpointSaved,
    Event,
    Finished,
    Planned,
    RunStarted,
    RunWatched,
    SamplingApplied,
    StepFinished,
    TrainingStateChanged,
    Validated,
    WarningRaised,
    WeightsSwapped,
    WorkerCrashed,
)
from model.events.recorded import STUDENT_BEGINS
from model.runs.folder import RunFolder
from model.session.watch import GrowingFile, WatchSession
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun
from tui.view.fold import fold
from tui.view.state import ViewState
from tui.widgets.header_bar import state_sign


def test_curves_and_text_follow_a_run_while_it_is_trained(tmp_path: Path) -> None:
    training = TrainingRun(make_request(tmp_path, epochs=4), TrainingControls()).events()
    its_plan: list[Event] = []
    started = next(event for event in training if isinstance(event, RunStarted))
    folder = RunFolder(tmp_path / "runs" / started.run)
    session = WatchSession(folder, sampling=SamplingConfig(), rate=10_000.0, seed=1)
    seen: list[Event] = []

    def said(kind: type[Event], count: int = 1) -> bool:
        seen.extend(session.poll())
        return len(of_kind(seen, kind)) >= count

    session.start()
    wait_until(lambda: said(TrainingStateChanged))
    assert of_kind(seen, TrainingStateChanged)[0].state == "training"
    watched = of_kind(seen, RunWatched)
    assert [(event.run, event.is_trained) for event in watched] == [(folder.name, True)]
    assert (watched[0].process, watched[0].host) == (os.getpid(), platform.node())
    for event in training:
        its_plan += of_kind([event], Planned)
        if isinstance(event, Validated):
            break
    wait_until(lambda: said(StepFinished))
    for _ in training:
        pass
    wait_until(lambda: said(Finished) and said(WeightsSwapped) and said(CharacterWritten, 50))
    wait_until(lambda: said(TrainingStateChanged, 2))
    assert of_kind(seen, TrainingStateChanged)[-1].state == "finished"
    assert [event.is_trained for event in of_kind(seen, RunWatched)] == [True, False]
    assert len(of_kind(seen, Validated)) >= 4
    assert of_kind(seen, Planned) == its_plan
    assert of_kind(seen, Planned)[0].planned_steps == of_kind(seen, Finished)[0].step
    session.post(SetSampling(sampling=SamplingConfig(temperature=0.3)))
    session.post(PauseTraining())
    wait_until(lambda: said(SamplingApplied) and said(WarningRaised))
    assert session.close()


def test_a_watcher_knows_which_network_is_trained(tmp_path: Path) -> None:
    request = make_request(tmp_path, epochs=4, teacher_share=0.5)
    for _ in TrainingRun(request, TrainingControls()).events():
        pass
    folder = RunFolder(tmp_path / "runs" / "tiny")
    session = WatchSession(folder, sampling=SamplingConfig(), rate=10_000.0, seed=1)
    seen: list[Event] = []

    def said_plan() -> bool:
        seen.extend(session.poll())
        return bool(of_kind(seen, Planned))

    session.start()
    wait_until(said_plan)
    assert session.close()
    plan = of_kind(seen, Planned)[0]
    assert (plan.role, plan.network_since) == ("student", 30)


def test_a_watcher_hears_of_a_student_before_a_checkpoint_has_it(tmp_path: Path) -> None:
    training = TrainingRun(
        make_request(tmp_path, epochs=4, teacher_share=0.5), TrainingControls()
    ).events()
    session = WatchSession(
        RunFolder(tmp_path / "runs" / "tiny"), sampling=SamplingConfig(), rate=1e4, seed=1
    )
    seen: list[Event] = []

    def roles() -> list[str]:
        seen.extend(session.poll())
        return [plan.role for plan in of_kind(seen, Planned)]

    for event in training:
        if isinstance(event, WarningRaised) and event.text == STUDENT_BEGINS:
            break
    session.start()
    wait_until(lambda: bool(roles()))
    for _ in training:
        if roles() == ["teacher", "student"]:
            break
    wait_until(lambda: roles()[-1] == "student")
    for _ in training:
        pass
    assert session.close()
    plans = of_kind(seen, Planned)
    assert [(plan.role, plan.network_since) for plan in plans] in (
        [("teacher", 0), ("student", 30)],
        [("student", 30)],
    )


def test_a_run_that_was_killed_or_deleted_is_not_called_done(tmp_path: Path) -> None:
    training = TrainingRun(make_request(tmp_path, epochs=4), TrainingControls()).events()
    for event in training:
        if isinstance(event, CheckpointSaved):
            break
    folder = RunFolder(tmp_path / "runs" / "tiny")
    session = WatchSession(folder, sampling=SamplingConfig(), rate=1e4, seed=1)
    state = ViewState()

    def shows(words: str) -> bool:
        nonlocal state
        state = fold(state, session.poll(), 0.0)
        return words in state_sign(state, ascii_only=True)[0]

    session.start()
    wait_until(lambda: shows("WATCHING"))
    training.close()  # type: ignore[attr-defined]
    wait_until(lambda: shows("INTERRUPTED"))
    assert not [line for line in state.log if "finished" in line.text]
    shutil.rmtree(folder.path)
    wait_until(lambda: shows("INTERRUPTED") and "was deleted" in state.log[-1].text)
    assert session.close()


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    file = GrowingFile(path)
    assert list(file.events()) == []
    line = '{"event": "warning", "time": 1.0, "text": "x"}\n'
    path.write_text("no json\n[]\n" + line + line[:20], encoding="utf-8")
    assert [event.time for event in file.events()] == [1.0]
    assert list(file.events()) == []
    with path.open("a", encoding="utf-8") as more:
        more.write(line[20:])
    assert len(list(file.events())) == 1


def test_a_run_that_another_one_replaces_is_left_in_words(tmp_path: Path) -> None:
    """C5: its folder is deleted, and a run in another text gets its name."""
    for _ in TrainingRun(make_request(tmp_path / "one", epochs=1), TrainingControls()).events():
        pass
    folder = RunFolder(tmp_path / "one" / "runs" / "tiny")
    session = WatchSession(folder, sampling=SamplingConfig(), rate=10_000.0, seed=1)
    seen: list[Event] = []

    def said(kind: type[Event], count: int = 1) -> bool:
        seen.extend(session.poll())
        return len(of_kind(seen, kind)) >= count

    session.start()
    wait_until(lambda: said(WeightsSwapped) and said(CharacterWritten, 20))
    shutil.rmtree(folder.path)
    other = make_request(tmp_path / "one", text="0123456789 " * 200, epochs=1)
    for _ in TrainingRun(other, TrainingControls()).events():
        pass
    wait_until(lambda: said(WarningRaised))
    assert "another run now has its name" in of_kind(seen, WarningRaised)[0].text
    written = len(of_kind(seen, CharacterWritten))
    wait_until(lambda: said(CharacterWritten, written + 20))
    assert of_kind(seen, TrainingStateChanged)[-1].state == "finished"
    assert not of_kind(seen, WorkerCrashed)
    assert session.close()
