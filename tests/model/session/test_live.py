"""The session with its two threads: who waits for whom, and what happens when one of them dies."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from model_fixtures import (
    TINY_MODEL,
    VOCABULARY,
    EventT,
    TickingClock,
    make_checkpoint,
    make_request,
    make_text,
    of_kind,
)
from patience import PATIENCE, wait_until

from corpus import MAX_PROMPT_CHARACTERS, CorpusError
from model.commands import (
    Command,
    ContinueTraining,
    ContinueWriting,
    HoldWriting,
    PauseTraining,
    RestartWriting,
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
    Event,
    Finished,
    Planned,
    RateSet,
    RunStarted,
    SampleRecorded,
    SamplingApplied,
    SessionRefused,
    StepFinished,
    TrainingStateChanged,
    Validated,
    WeightsSwapped,
    WorkerCrashed,
    WritingHeld,
    WritingRestarted,
)
from model.runs.checkpoint_file import read_checkpoint, write_checkpoint
from model.runs.folder import RunFolder
from model.runs.request import RunRequest
from model.sampling.stream import CharacterStream
from model.session import live as live_session
from model.session import sampler_thread
from model.session.event_queue import EventQueue
from model.session.live import LiveSession, SavedWeights
from model.training import training_run
from model.training.trainer import Trainer

ENDLESS = 100_000
"""Epochs."""
FAST = 100_000.0
"""Characters per second; more than is ever reached."""


class Watched:
    """A session and everything that it said."""

    def __init__(self, session: LiveSession) -> None:
        self.session = session
        self.events: list[Event] = []

    def poll(self) -> None:
        self.events.extend(self.session.poll())

    def post(self, command: Command) -> None:
        self.session.post(command)

    def of(self, kind: type[EventT]) -> list[EventT]:
        return of_kind(self.events, kind)

    def until(self, condition: Callable[[], object]) -> None:
        def holds() -> bool:
            self.poll()
            return bool(condition())

        wait_until(holds)

    def until_said(self, kind: type[EventT], count: int = 1) -> EventT:
        self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    def text(self) -> str:
        return "".join(event.character for event in self.of(CharacterWritten))

    def let_the_writer_look_around(self, answers: int = 1) -> None:
        """Returns once the writer has obeyed a command that changes nothing, and then another.

        Between them it writes whatever is due. `answers` counts the calls.
        """
        for number in (2 * answers - 1, 2 * answers):
            self.post(SetSampling(sampling=SamplingConfig()))
            self.until_said(SamplingApplied, number)

    def after(self, event: Event) -> list[Event]:
        place = next(i for i, other in enumerate(self.events) if other is event)
        return self.events[place + 1 :]


@contextlib.contextmanager
def opened(work: RunRequest | SavedWeights, **options: Any) -> Iterator[Watched]:
    settings: dict[str, Any] = {"sampling": SamplingConfig(), "rate": 2000.0, "seed": 1, **options}
    session = LiveSession(work, **settings)
    session.start()
    try:
        yield Watched(session)
    finally:
        assert session.close(save=False, timeout=PATIENCE)
        assert {"trainer", "sampler"}.isdisjoint(thread.name for thread in threading.enumerate())


@pytest.fixture
def weights(tmp_path: Path) -> SavedWeights:
    path = tmp_path / "step-00000001.safetensors"
    write_checkpoint(path, make_checkpoint())
    return SavedWeights(path=path)


def saved_steps(folder: Path) -> list[int]:
    checkpoints = RunFolder(folder / "runs" / "tiny").checkpoints.saved(pytest.fail)
    return [saved.metadata.step for saved in checkpoints]


# --- a whole session --------------------------------------------------------------------------


def test_it_trains_to_the_end_and_writes_on_best_first_weights(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=4)) as watched:
        watched.until_said(Finished)
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
        watched.until_said(StepFinished)


# --- nobody waits for the screen --------------------------------------------------------------


def test_when_nobody_polls_training_goes_on_and_nothing_grows(
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


def test_the_text_goes_on_where_it_was_left_waiting(
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
        watched.until_said(StepFinished, 3)
        assert watched.session.close(timeout=PATIENCE)
        watched.poll()
        (finished,) = watched.of(Finished)
        assert finished.reason == "stopped"
        assert saved_steps(tmp_path)[-1] == finished.step
        assert not RunFolder(tmp_path / "runs" / "tiny").is_being_written()
        assert watched.session.close(timeout=PATIENCE), "it may be closed again"


def test_quitting_without_saving_leaves_no_checkpoint(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=ENDLESS, validation_fraction=0.0)) as watched:
        watched.until_said(StepFinished, 3)
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


def test_it_can_be_closed_before_it_was_started(tmp_path: Path) -> None:
    session = LiveSession(make_request(tmp_path), sampling=SamplingConfig(), rate=10.0)
    assert session.close()


# --- training commands --------------------------------------------------------------------------


def test_training_pauses_saves_goes_on_and_stops(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, epochs=ENDLESS, validation_fraction=0.0)) as watched:
        watched.until_said(StepFinished, 2)
        watched.post(PauseTraining())
        watched.until(lambda: TrainingStateChanged(state="paused") in watched.events)
        paused_at = watched.of(StepFinished)[-1].step
        written = len(watched.text())
        watched.until(lambda: len(watched.text()) > written + 100)
        assert watched.of(StepFinished)[-1].step == paused_at, "it waits while the text goes on"
        watched.post(SaveCheckpoint())
        assert watched.until_said(CheckpointSaved).step == paused_at
        watched.post(ContinueTraining())
        watched.until(lambda: watched.of(StepFinished)[-1].step > paused_at)
        watched.post(StopTraining())
        assert watched.until_said(Finished).reason == "stopped"
        assert watched.session.unsaved is False


# --- writing commands -----------------------------------------------------------------------------


def test_a_temperature_holds_from_the_very_next_character(weights: SavedWeights) -> None:
    with opened(weights, sampling=SamplingConfig(temperature=5)) as watched:
        watched.until(lambda: len(watched.text()) > 100)
        for number in range(1, 4):
            watched.post(SetSampling(sampling=SamplingConfig(temperature=0)))
            greedy = watched.until_said(SamplingApplied, 2 * number - 1)
            watched.until(lambda: len(of_kind(watched.after(greedy), CharacterWritten)) > 40)  # noqa: B023
            watched.post(SetSampling(sampling=SamplingConfig(temperature=5)))
            hot = watched.until_said(SamplingApplied, 2 * number)
            assert (greedy.sampling.temperature, hot.sampling.temperature) == (0, 5)
            watched.until(lambda: len(of_kind(watched.after(hot), CharacterWritten)) > 40)  # noqa: B023
        temperature, surprises = 5.0, 0
        for event in watched.events:
            if isinstance(event, SamplingApplied):
                temperature = event.sampling.temperature
            elif isinstance(event, CharacterWritten):
                is_top = event.probability == event.candidates[0].probability
                surprises += not is_top
                assert is_top or temperature == 5
        assert surprises > 100


def test_a_hold_stops_the_text_and_it_goes_on_as_if_nothing_had_been(
    weights: SavedWeights,
) -> None:
    with opened(weights) as watched:
        watched.until(lambda: len(watched.text()) > 400)
        expected = watched.text()
    with opened(weights, rate=FAST) as watched:
        watched.until(lambda: len(watched.text()) > 20)
        watched.post(HoldWriting())
        held = watched.until_said(WritingHeld)
        assert held.held
        watched.let_the_writer_look_around()
        assert of_kind(watched.after(held), CharacterWritten) == []
        watched.post(ContinueWriting())
        assert not watched.until_said(WritingHeld, 2).held
        watched.until(lambda: len(watched.text()) > 300)
        assert watched.text()[:300] == expected[:300]


def test_the_rate_is_kept_and_can_be_changed(
    weights: SavedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = TickingClock()
    monkeypatch.setattr(sampler_thread, "time", types.SimpleNamespace(monotonic=clock))
    with opened(weights, rate=50.0) as watched:
        watched.until_said(CharacterWritten)
        for answers, count in enumerate((6, 11, 16), 1):
            clock.now += 0.1 if answers > 1 else 0.11
            watched.until(lambda: len(watched.text()) >= count)  # noqa: B023
            watched.let_the_writer_look_around(answers)
            assert len(watched.text()) == count, "a character takes 0.02 s at 50 a second"
        watched.post(SetRate(characters_per_second=5000))
        assert watched.until_said(RateSet).characters_per_second == 5000
        clock.now += 0.1
        watched.until(lambda: len(watched.text()) > 400)


def test_a_restart_with_a_seed_writes_the_same_text(weights: SavedWeights) -> None:
    texts = []
    with opened(weights, prompt="the cat") as watched:
        watched.until_said(WritingRestarted)
        for number, seed in enumerate((7, 7, 8), 2):
            watched.post(RestartWriting(seed=seed))
            restarted = watched.until_said(WritingRestarted, number)
            assert (restarted.seed, restarted.prompt) == (seed, "the cat")
            watched.until(lambda: len(of_kind(watched.after(restarted), CharacterWritten)) >= 60)  # noqa: B023
            written = of_kind(watched.after(restarted), CharacterWritten)[:60]
            texts.append("".join(event.character for event in written))
    assert texts[0] == texts[1] != texts[2]


def test_the_text_is_that_of_a_stream_without_a_thread(weights: SavedWeights) -> None:
    checkpoint = make_checkpoint()
    stream = CharacterStream(
        checkpoint.snapshot(), VOCABULARY, sampling=SamplingConfig(), seed=1, prompt="a rat"
    )
    expected = [stream.step() for _ in range(100)]
    with opened(weights, prompt="a rat") as watched:
        watched.until(lambda: len(watched.of(CharacterWritten)) >= 100)
        assert watched.of(CharacterWritten)[:100] == expected


def test_without_a_seed_each_restart_draws_a_new_one(weights: SavedWeights) -> None:
    with opened(weights, seed=None) as watched:
        for number in range(1, 5):
            watched.until_said(WritingRestarted, number)
            watched.post(RestartWriting())
        seeds = {event.seed for event in watched.of(WritingRestarted)}
        assert len(seeds) >= 3
        assert all(0 <= seed < 10**6 for seed in seeds)


def test_a_prompt_with_foreign_characters_is_fitted_and_that_is_said(
    weights: SavedWeights,
) -> None:
    with opened(weights, prompt="The CAT Ω") as watched:
        restarted = watched.until_said(WritingRestarted)
        assert restarted.prompt == "the cat "
        assert restarted.note is not None
        assert "left out Ω" in restarted.note
        watched.post(RestartWriting(prompt="a rat"))
        restarted = watched.until_said(WritingRestarted, 2)
        assert (restarted.prompt, restarted.note) == ("a rat", None)
        watched.until(lambda: of_kind(watched.after(restarted), CharacterWritten))


def test_of_a_prompt_too_long_the_end_is_read_and_that_is_said(weights: SavedWeights) -> None:
    with opened(weights) as watched:
        watched.until_said(WritingRestarted)
        watched.post(RestartWriting(prompt="the end" + "a rat " * (MAX_PROMPT_CHARACTERS // 6)))
        restarted = watched.until_said(WritingRestarted, 2)
        assert len(restarted.prompt) == MAX_PROMPT_CHARACTERS
        assert restarted.prompt.endswith("a rat a rat ")
        assert restarted.note is not None
        assert "its last 100,000 characters" in restarted.note
        watched.until(lambda: of_kind(watched.after(restarted), CharacterWritten))


def test_commands_before_the_first_weights_are_kept(
    weights: SavedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read = threading.Event()
    monkeypatch.setattr(
        live_session,
        "read_checkpoint",
        lambda path: (may_read.wait(PATIENCE), read_checkpoint(path))[1],
    )
    with opened(weights, sampling=SamplingConfig(temperature=5)) as watched:
        watched.post(SetSampling(sampling=SamplingConfig(temperature=0)))
        watched.post(RestartWriting(seed=9, prompt="the "))
        watched.until_said(SamplingApplied)
        may_read.set()
        restarted = watched.until_said(WritingRestarted)
        assert (restarted.seed, restarted.prompt) == (9, "the ")
        watched.until(lambda: len(watched.text()) > 30)
        for event in watched.of(CharacterWritten):
            assert event.probability == event.candidates[0].probability


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_crash_of_the_trainer_is_told_and_the_text_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def crash(trainer: Trainer, seconds: float) -> Any:
        if trainer.step_count == 5:
            raise ZeroDivisionError("ours")
        return step(trainer, seconds)

    monkeypatch.setattr(Trainer, "step", crash)
    with opened(make_request(tmp_path)) as watched:
        crashed = watched.until_said(WorkerCrashed)
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


def test_a_crash_of_the_sampler_is_told_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler_thread, "CharacterStream", CrashingStream)
    with opened(make_request(tmp_path, epochs=30, sample_length=1)) as watched:
        crashed = watched.until_said(WorkerCrashed)
        assert crashed.worker == "sampler"
        assert crashed.sentence.startswith("writing stopped because of a defect")
        assert len(watched.text()) == 20
        watched.post(SetSampling(sampling=SamplingConfig(temperature=1)))
        finished = watched.until_said(Finished)
        assert (finished.reason, finished.step) == ("completed", 30 * 15)


def test_a_user_error_arrives_as_a_refusal(tmp_path: Path) -> None:
    with opened(make_request(tmp_path, text="too short")) as watched:
        refused = watched.until_said(SessionRefused)
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
        refused = watched.until_said(SessionRefused)
        assert isinstance(refused.error, CheckpointError)


# --- saved weights and resumed runs ---------------------------------------------------------------


def test_saved_weights_say_what_they_are(weights: SavedWeights) -> None:
    with opened(weights) as watched:
        watched.until(lambda: TrainingStateChanged(state="finished") in watched.events)
        (started,) = watched.of(RunStarted)
        assert (started.run, started.vocabulary) == ("tiny", len(VOCABULARY))
        assert started.parameters == sum(v.size for v in make_checkpoint().weights().values())
        (planned,) = watched.of(Planned)
        assert (planned.hidden, planned.layers) == (TINY_MODEL.hidden, TINY_MODEL.layers)
        assert planned.first_step == 1


def test_a_resumed_run_shows_its_curve_so_far(tmp_path: Path) -> None:
    with opened(make_request(tmp_path)) as watched:
        watched.until_said(Finished)
        first = watched.of(Validated)
    with opened(make_request(tmp_path, resume=True, overrides={"epochs": 3})) as watched:
        watched.until_said(Finished)
        started = watched.events.index(watched.of(RunStarted)[0])
        shown = of_kind(watched.events[:started], Validated)
        assert [event.step for event in shown] == [event.step for event in first]
        assert of_kind(watched.events[:started], StepFinished)
        assert watched.of(StepFinished)[-1].step == 45


def run_script(code: str, *arguments: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr


WAIT = (
    f"    PATIENCE = {PATIENCE}"
    """
    import sys, threading, time
    from pathlib import Path
    from model.config import ModelConfig, SamplingConfig, TrainingConfig
    from model.events import CharacterWritten, Finished
    from model.session.live import LiveSession, SavedWeights
    from model.runs.request import RunRequest

    def wait_for(session, kind, count):
        deadline, found = time.monotonic() + PATIENCE, 0
        while found < count:
            assert time.monotonic() < deadline, f"no {kind.__name__}"
            found += sum(isinstance(event, kind) for event in session.poll())
            time.sleep(0.005)
"""
)


def test_writing_with_saved_weights_never_imports_torch(weights: SavedWeights) -> None:
    run_script(
        WAIT
        + """
    session = LiveSession(
        SavedWeights(path=Path(sys.argv[1])), sampling=SamplingConfig(), rate=1000.0
    )
    session.start()
    wait_for(session, CharacterWritten, 100)
    assert session.close()
    assert "torch" not in sys.modules
    """,
        str(weights.path),
    )


@pytest.mark.parametrize("resume", [True, False])
def test_it_writes_while_torch_is_still_on_its_way(resume: bool, tmp_path: Path) -> None:
    if resume:
        with opened(make_request(tmp_path, epochs=1)) as watched:
            watched.until_said(Finished)
    else:
        (tmp_path / "text.txt").write_text(make_text(), encoding="utf-8")
    run_script(
        WAIT
        + """
    import importlib.machinery
    may_import = threading.Event()

    class Slow:
        # Torch waits in its own code: while a module is looked for, all other imports wait.
        def find_spec(self, name, path=None, target=None):
            if name != "torch":
                return None
            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: may_import.wait(PATIENCE) and execute(module)
            return spec

    sys.meta_path.insert(0, Slow())
    folder, resume = Path(sys.argv[1]), sys.argv[2] == "True"
    request = RunRequest(
        corpus=None if resume else str(folder / "text.txt"), preset="quick",
        model=ModelConfig(hidden=8, embedding=4),
        training=TrainingConfig(
            batch=4, sequence=16, epochs=2, threads=1, device="cpu", precision="fp32",
            sample_length=2,
        ),
        root=folder / "runs", run="tiny", resume=resume, overrides={"epochs": 2} if resume else {},
    )
    session = LiveSession(request, sampling=SamplingConfig(), rate=1000.0)
    session.start()
    wait_for(session, CharacterWritten, 50)
    assert not hasattr(sys.modules.get("torch"), "nn")
    may_import.set()
    wait_for(session, Finished, 1)
    assert session.close()
    """,
        str(tmp_path),
        str(resume),
    )
