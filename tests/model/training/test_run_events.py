"""A whole training, event by event, without a thread."""

from __future__ import annotations

import gc
import json
import math
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from model_fixtures import TEXT, TickingClock, make_request, make_text, of_kind
from network_fixtures import sharing_products
from watched_training import STEPS_PER_EPOCH, run_folder, warnings_of, watch

from model.compute.device import Machine
from model.compute.engine import Engine
from model.config import ModelConfig
from model.evaluation import scoring
from model.events import (
    CheckpointSaved,
    ComputingChanged,
    Event,
    Finished,
    Planned,
    Preparing,
    RecordedEvent,
    RunStarted,
    SampleRecorded,
    StepFinished,
    TrainingStateChanged,
    Validated,
    to_json_line,
)
from model.network.published import PublishedWeights
from model.runs.checkpoint_file import read_metadata
from model.training.controls import TrainingControls
from model.training.trainer import Trainer
from model.training.training_run import TrainingRun


def test_events_come_in_the_order_of_the_work(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path))
    told = [
        event.state if isinstance(event, TrainingStateChanged) else type(event).__name__
        for event in events
        if not isinstance(event, Preparing)
    ]
    epoch = [
        *["StepFinished"] * STEPS_PER_EPOCH,
        *["validating", "Validated", "training"],
        *["SampleRecorded"] * 4,
        "CheckpointSaved",
    ]
    assert told == [
        *["preparing", "RunStarted", "Planned", "training"],
        *epoch * 2,
        *["Finished", "finished"],
    ]
    assert [event.step for event in of_kind(events, StepFinished)] == list(range(1, 31))
    assert [event.epoch for event in of_kind(events, StepFinished)] == [1] * 15 + [2] * 15


def timed_again(monkeypatch: pytest.MonkeyPatch, found: Engine) -> list[Engine]:
    """Has every second look find that engine; returns what was in use at each, as they come."""
    used: list[Engine] = []

    def look(machine: Machine, *_: object) -> Machine:
        used.append(machine.engine)
        return Machine.on(machine.device, found)

    monkeypatch.setattr("model.training.training_run.retune", look)
    return used


def test_engines_are_timed_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, two = TickingClock(), Engine(precision="fp32", batch_shards=2)
    used = timed_again(monkeypatch, two)

    def react(event: Event, _: TrainingControls) -> None:
        if isinstance(event, StepFinished) and event.step in {5, 12, 20}:
            clock.now += 300

    events = watch(make_request(tmp_path, threads=1, precision="fp32"), react, clock=clock)
    assert used[1:] == [two]
    assert (used[0].precision, used[0].threads) == ("fp32", 1)
    assert [event.step for event in of_kind(events, StepFinished)] == list(range(1, 31))
    (told,) = warnings_of(events)
    assert "timed again" in told
    assert "1 to 2" in told
    assert [event.threads for event in of_kind(events, ComputingChanged)] == [2]
    saved = run_folder(tmp_path).checkpoints.saved(pytest.fail)[-1].metadata
    assert Engine.from_record(saved.progress["engine"]) == two


def test_a_resumed_run_keeps_its_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(make_request(tmp_path, epochs=1, threads=1, precision="fp32"))
    used, clock = (
        timed_again(monkeypatch, Engine(precision="fp32", batch_shards=2)),
        TickingClock(30),
    )
    events = watch(make_request(tmp_path, resume=True, overrides={"epochs": 2}), clock=clock)
    assert len(of_kind(events, StepFinished)) == STEPS_PER_EPOCH
    assert used == []


def test_the_run_is_described_by_its_first_events(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path, seed=3))
    (started,) = of_kind(events, RunStarted)
    assert (started.run, started.corpus, started.preset) == ("tiny", "text.txt", "quick")
    assert (started.characters, started.vocabulary) == (len(TEXT), len(set(TEXT)))
    assert (started.device, started.precision, started.threads) == ("cpu", "fp32", 1)
    assert started.seed == 3
    checkpoint = run_folder(tmp_path).checkpoints.load_latest(pytest.fail)
    assert started.parameters == sum(value.size for value in checkpoint.weights().values())
    (planned,) = of_kind(events, Planned)
    assert (planned.steps_per_epoch, planned.planned_steps) == (STEPS_PER_EPOCH, 30)
    assert (planned.planned_seconds, planned.first_step) == (None, 0)
    (finished,) = of_kind(events, Finished)
    losses = [event.nats_per_character for event in of_kind(events, Validated)]
    assert (finished.reason, finished.step) == ("completed", 30)
    assert finished.best_nats_per_character == min(losses)
    assert finished.best_bits_per_character == pytest.approx(min(losses) / math.log(2))


def test_the_loss_falls_and_the_best_is_marked(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path, epochs=8))
    validated = of_kind(events, Validated)
    assert validated[-1].nats_per_character < 0.85 * validated[0].nats_per_character
    best = math.inf
    for event in validated:
        assert event.best == (event.nats_per_character < best)
        best = min(best, event.nats_per_character)
        assert event.bits_per_character == pytest.approx(event.nats_per_character / math.log(2))
    for saved in of_kind(events, CheckpointSaved):
        if Path(saved.path).exists():  # else it was pruned
            assert read_metadata(Path(saved.path)).step == saved.step
        assert saved.best == any(e.best for e in validated if e.step == saved.step)


def test_samples_are_written_after_each_epoch_at_four_temperatures(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path))
    samples = of_kind(events, SampleRecorded)
    assert [(s.epoch, s.temperature) for s in samples] == [
        (epoch, temperature) for epoch in (1, 2) for temperature in (0.2, 0.5, 1.0, 1.2)
    ]
    for sample in samples:
        assert len(sample.text) == 12
        assert len(sample.prompt) == 8
        assert sample.prompt in TEXT
        assert set(sample.text) <= set(TEXT)
    assert len({sample.prompt for sample in samples}) == 1, "all epochs can be compared"
    lines = run_folder(tmp_path).record.read_lines("samples.jsonl")
    assert lines == [json.loads(to_json_line(sample)) for sample in samples]


def test_slow_validations_are_rare_and_samples_still_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.training.validation.next_pause", lambda seconds, cost: 1e9)
    events = list(TrainingRun(make_request(tmp_path, epochs=4), TrainingControls()).events())
    # After the first epoch none has been timed yet; after the last one there is always one.
    assert [event.epoch for event in events if isinstance(event, Validated)] == [1, 4]
    assert {event.epoch for event in events if isinstance(event, SampleRecorded)} == {1, 2, 3, 4}


def test_the_notebook_draws_another_prompt_after_each_epoch(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path, epochs=3, fresh_sample_prompts=True))
    prompts = [sample.prompt for sample in of_kind(events, SampleRecorded)]
    assert len(set(prompts)) == 3


def test_the_file_holds_the_recorded_events_and_ten_steps_a_second(tmp_path: Path) -> None:
    recorded: list[RecordedEvent] = []
    events = watch(
        make_request(tmp_path, epochs=4), clock=TickingClock(0.004), on_record=recorded.append
    )
    lines = run_folder(tmp_path).record.read_lines("metrics.jsonl")
    assert lines == [json.loads(to_json_line(event)) for event in recorded]
    others = [
        event for event in of_kind(events, RecordedEvent) if not isinstance(event, StepFinished)
    ]
    assert [line for line in lines if line["event"] != "step"] == [
        json.loads(to_json_line(event)) for event in others
    ]
    times = [line["time"] for line in lines if line["event"] == "step"]
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(times))
    assert 5 < len(times) < len(of_kind(events, StepFinished)) / 2
    assert [line["event"] for line in lines][0 :: len(lines) - 1] == ["run_started", "finished"]


def test_weights_are_published_twice_a_second_and_the_best_at_the_end(tmp_path: Path) -> None:
    everything: list[PublishedWeights] = []
    clock = TickingClock(0.02)
    events = watch(make_request(tmp_path, epochs=4), publish=everything.append, clock=clock)
    published = [weights for weights in everything if weights.kept_as is None]
    assert published[0].snapshot.step == 0
    assert published[-1].best
    best = [event.step for event in of_kind(events, Validated) if event.best][-1]
    assert published[-1].snapshot.step == best
    assert not any(weights.best for weights in published[:-1])
    (finished,) = of_kind(events, Finished)
    assert finished.seconds / 0.5 * 0.5 <= len(published) <= finished.seconds / 0.5 + 3


def test_the_best_weights_and_those_of_each_epoch_are_published(tmp_path: Path) -> None:
    published: list[PublishedWeights] = []
    events = watch(make_request(tmp_path, epochs=3), publish=published.append)
    validations = of_kind(events, Validated)
    losses = {event.step: event.nats_per_character for event in validations}
    best = [weights for weights in published if weights.kept_as == "best"]
    assert [(weights.snapshot.step, weights.nats_per_character) for weights in best] == [
        (event.step, event.nats_per_character) for event in validations if event.best
    ]
    epochs = [weights for weights in published if weights.kept_as == "epoch"]
    assert [(weights.epoch, weights.snapshot.step) for weights in epochs] == list(
        dict.fromkeys((event.epoch, event.step) for event in of_kind(events, SampleRecorded))
    )
    assert [weights.nats_per_character for weights in epochs] == [
        losses.get(weights.snapshot.step) for weights in epochs
    ]
    assert epochs


def test_two_layers_and_one_hot_train_too(tmp_path: Path) -> None:
    model = ModelConfig(hidden=8, layers=2, embedding=0, dropout=0.2)
    events = watch(make_request(tmp_path, model=model, epochs=1))
    assert of_kind(events, Finished)[0].reason == "completed"


def test_threads_share_the_streams_of_validations_and_nothing_between_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that share a sum stay awake for a while, on the cores that the next step needs."""
    stepping: set[int] = set()
    validating: set[tuple[int, int]] = set()
    step, streams_of = Trainer.step, scoring.streams_of  # type: ignore[attr-defined]

    def noted_step(*arguments: Any) -> Any:
        stepping.add(torch.get_num_threads())
        return step(*arguments)

    def noted_streams(*arguments: Any) -> Any:
        validating.add((threading.get_ident(), torch.get_num_threads()))
        return streams_of(*arguments)

    monkeypatch.setattr(Trainer, "step", noted_step)
    monkeypatch.setattr(scoring, "streams_of", noted_streams)
    with sharing_products(torch.get_num_threads()):  # leaves this test's thread as it was
        watch(
            make_request(
                tmp_path, text=make_text(9000), validation_fraction=0.5, threads=2, epochs=1
            )
        )
    assert stepping == {1}
    assert len(validating) == 2
    assert threading.get_ident() in {ident for ident, _ in validating}, "it works, too"
    assert {threads for _, threads in validating} == {1}


def test_the_garbage_collector_ignores_what_existed_at_the_start(
    tmp_path: Path,
) -> None:
    before = gc.get_freeze_count()
    controls, within = TrainingControls(), 0
    for event in TrainingRun(make_request(tmp_path), controls).events():
        if isinstance(event, StepFinished):
            within = gc.get_freeze_count()
            controls.stop()
    assert within > 10_000 + before
    assert gc.get_freeze_count() == 0
