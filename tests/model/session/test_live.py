"""The session with its two threads: who waits for whom, and what happens when one of them dies."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

import pytest
from model_fixtures import (
    VOCABULARY,
    TickingClock,
    make_request,
    of_kind,
)
from patience import PATIENCE, wait_until
from watched_session import ENDLESS, FAST, opened
from watched_training import saved_steps

from corpus import CorpusError
from model.commands import (
    Command,
    ContinueTraining,
    HoldWriting,
    PauseTraining,
    SaveCheckpoint,
    SetRate,
    SetSampling,
    StopTraining,
)
from model.config import SamplingConfig
from model.errors import CheckpointError
from model.events import (
    CharacterWritten,
    CheckpointSaved,
    Finished,
    Planned,
    RateSet,
    RunStarted,
    SampleRecorded,
    SessionRefused,
    StepFinished,
    TrainingStateChanged,
    Validated,
    WeightsSwapped,
    WorkerCrashed,
    WritingHeld,
    WritingRestarted,
)
from model.runs.folder import RunFolder
from model.sampling.stream import CharacterStream
from model.session import live as live_session
from model.session import sampler_thread
from model.session.event_queue import EventQueue
from model.session.live import LiveSession, SavedWeights
from model.training import training_run
from model.training.trainer import Trainer

# --- a whole session --------------------------------------------------------------------------


def test_it_trains_to_the_end_and_writes_on_best_first_weights(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=4)) as watched:
        watched.until_event(Finished)
        watched.until(lambda: any(event.best for event in watched.of(WeightsSwapped)))
        swapped = watched.of(WeightsSwapped)[-1]
        best = [event.step for event in watched.of(Validated) if event.best][-1]
        assert (swapped.step, swapped.best) == (best, True)
        watched.until(lambda: len(of_kind(watched.after(swapped), CharacterWritten)) > 50)
        assert watched.of(WeightsSwapped)[0].step == 0, "it wrote before it had learned anything"
        assert set(watched.text()) <= set(VOCABULARY.symbols)
        assert watched.session.run_path == tmp_path / "runs" / "tiny"
        assert watched.of(TrainingStateChanged)[-1].state == "finished"


def test_weights_are_swapped_in_mid_text_without_a_restart(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=ENDLESS, sample_length=1)) as watched:
        watched.until(lambda: len({event.step for event in watched.of(WeightsSwapped)}) >= 3)
        swapped = watched.of(WeightsSwapped)[-1]
        watched.until(lambda: len(of_kind(watched.after(swapped), CharacterWritten)) > 5)
        assert len(watched.of(WritingRestarted)) == 1
        steps = [event.step for event in watched.of(WeightsSwapped)]
        assert steps == sorted(steps)


def test_writing_begins_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_step = threading.Event()
    step = Trainer.step
    monkeypatch.setattr(
        Trainer,
        "step",
        lambda trainer, seconds: (may_step.wait(PATIENCE), step(trainer, seconds))[1],
    )
    with opened(make_request(tmp_path)) as watched:
        watched.until(lambda: len(watched.of(CharacterWritten)) > 20)
        assert watched.of(StepFinished) == []
        may_step.set()
        watched.until_event(StepFinished)


# --- nobody waits for the screen --------------------------------------------------------------


def test_training_continues_and_nothing_grows_without_polls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One that hardly moves: what is validated by the clock would be more.
    clock = TickingClock(1e-6)
    monkeypatch.setattr(
        training_run, "TrainingRun", functools.partial(training_run.TrainingRun, clock=clock)
    )
    monkeypatch.setattr(live_session, "EventQueue", lambda: EventQueue(capacity=120))
    monkeypatch.setattr(sampler_thread, "BUFFER", 200)
    with opened(make_request(tmp_path, epochs=12, sample_length=1), rate=FAST) as watched:
        wait_until(lambda: not watched.session._trainer.is_alive())
        assert len(watched.session._events._events) <= 120
        assert len(watched.session._sampler._buffer) <= 200 + 2
        watched.poll()
        assert watched.of(Finished)[0].step == 12 * 15
        assert [event.epoch for event in watched.of(Validated)] == list(range(1, 13))
        assert len(watched.of(SampleRecorded)) == 12 * 4
        assert len(watched.of(RunStarted)) == len(watched.of(Planned)) == 1
        assert len(watched.of(StepFinished)) < 120
        assert 150 <= len(watched.of(CharacterWritten)) <= 200


def test_the_text_continues_where_it_waited(
    weights: SavedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(weights, rate=FAST) as watched:
        watched.until(lambda: len(watched.text()) > 1500)
        expected = watched.text()
    monkeypatch.setattr(sampler_thread, "BUFFER", 100)
    with opened(weights, rate=FAST) as watched:
        for _ in range(3):
            wait_until(lambda: len(watched.session._sampler._buffer) >= 100)
            watched.poll()
        watched.until(lambda: len(watched.text()) > 1000)
        assert watched.text()[:1000] == expected[:1000]


# --- quitting ---------------------------------------------------------------------------------


def test_quitting_in_mid_stream_saves(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=ENDLESS)) as watched:
        watched.until_event(StepFinished, 3)
        assert watched.session.close(timeout=PATIENCE)
        watched.poll()
        (finished,) = watched.of(Finished)
        assert finished.reason == "stopped"
        assert saved_steps(tmp_path)[-1] == finished.step
        assert not RunFolder(tmp_path / "runs" / "tiny").is_being_written()
        assert watched.session.close(timeout=PATIENCE), "it may be closed again"


def test_quitting_without_saving_leaves_no_checkpoint(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=ENDLESS, validation_fraction=0.0)) as watched:
        watched.until_event(StepFinished, 3)
        assert watched.session.close(save=False, timeout=PATIENCE)
        assert saved_steps(tmp_path) == []


def test_a_paused_training_can_be_closed(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=ENDLESS)) as watched:
        watched.post(PauseTraining())
        watched.until(lambda: TrainingStateChanged(state="paused") in watched.events)
        assert watched.session.close(timeout=PATIENCE)
        assert len(saved_steps(tmp_path)) >= 1


@pytest.mark.parametrize("command", [HoldWriting(), SetRate(characters_per_second=1e-6)])
def test_a_writer_that_waits_can_be_closed(command: Command, weights: SavedWeights) -> None:
    with opened(weights) as watched:
        watched.post(command)
        watched.until(lambda: watched.of(WritingHeld) or watched.of(RateSet))
        assert watched.session.close(timeout=PATIENCE), "the next character is days away"


def test_it_can_be_closed_before_its_start(tmp_path: Path) -> None:
    session = LiveSession(make_request(tmp_path), sampling=SamplingConfig(), rate=10.0)
    assert session.close()


# --- training commands --------------------------------------------------------------------------


def test_training_pauses_saves_continues_and_stops(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=ENDLESS, validation_fraction=0.0)) as watched:
        watched.until_event(StepFinished, 2)
        watched.post(PauseTraining())
        watched.until(lambda: TrainingStateChanged(state="paused") in watched.events)
        paused_at = watched.of(StepFinished)[-1].step
        written = len(watched.text())
        watched.until(lambda: len(watched.text()) > written + 100)
        assert watched.of(StepFinished)[-1].step == paused_at, "it waits while the text goes on"
        watched.post(SaveCheckpoint())
        assert watched.until_event(CheckpointSaved).step == paused_at
        watched.post(ContinueTraining())
        watched.until(lambda: watched.of(StepFinished)[-1].step > paused_at)
        watched.post(StopTraining())
        assert watched.until_event(Finished).reason == "stopped"
        assert watched.session.unsaved is False


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_crash_of_the_trainer_is_reported_and_the_text_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def crash(trainer: Trainer, seconds: float) -> Any:
        if trainer.step_count == 5:
            raise ZeroDivisionError("ours")
        return step(trainer, seconds)

    monkeypatch.setattr(Trainer, "step", crash)
    with opened(make_request(tmp_path)) as watched:
        crashed = watched.until_event(WorkerCrashed)
        assert crashed.worker == "trainer"
        assert crashed.sentence == (
            "training stopped because of a defect: ZeroDivisionError('ours')"
        )
        assert "in crash" in crashed.traceback
        watched.until(lambda: len(of_kind(watched.after(crashed), CharacterWritten)) > 100)
        assert not RunFolder(tmp_path / "runs" / "tiny").is_being_written()


class CrashingStream(CharacterStream):
    """Writes twenty characters and no more."""

    left = 20

    def step(self) -> CharacterWritten:
        self.left -= 1
        if self.left < 0:
            raise ZeroDivisionError("ours")
        return super().step()


def test_a_crash_of_the_sampler_is_reported_and_training_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler_thread, "CharacterStream", CrashingStream)
    with opened(make_request(tmp_path, epochs=30, sample_length=1)) as watched:
        crashed = watched.until_event(WorkerCrashed)
        assert crashed.worker == "sampler"
        assert crashed.sentence.startswith("writing stopped because of a defect")
        assert len(watched.text()) == 20
        watched.post(SetSampling(sampling=SamplingConfig(temperature=1)))
        finished = watched.until_event(Finished)
        assert (finished.reason, finished.step) == ("completed", 30 * 15)


def test_a_user_error_arrives_as_a_refusal(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, text="too short")) as watched:
        refused = watched.until_event(SessionRefused)
        assert isinstance(refused.error, CorpusError)
        assert "give a longer text" in str(refused.error)
        assert watched.of(WorkerCrashed) == []


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint"])
def test_saved_weights_that_cannot_be_read_are_a_refusal(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "c.safetensors"
    if content is not None:
        path.write_bytes(content)
    with opened(SavedWeights(path=path)) as watched:
        refused = watched.until_event(SessionRefused)
        assert isinstance(refused.error, CheckpointError)
