"""A training that continues an earlier one: what it keeps, changes, and refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_fixtures import TEXT, VOCABULARY, TickingClock, make_request, make_text, of_kind
from watched_training import at_step, run_folder, saved_steps, warnings_of, watch

from model.errors import CheckpointError
from model.events import (
    CheckpointSaved,
    Finished,
    Planned,
    RunStarted,
    StepFinished,
    Validated,
    of_the_last_text,
)
from model.network.published import PublishedWeights
from model.runs.checkpoint_file import read_checkpoint, write_checkpoint
from model.runs.checkpoint_store import best_first
from model.runs.folder import RunFolder
from model.training.validation import MIN_VALIDATION_CHARACTERS, Validation


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    events = watch(make_request(tmp_path, resume=True))
    assert of_kind(events, StepFinished) == []
    assert of_kind(events, CheckpointSaved) == []
    assert of_kind(events, Planned)[0].first_step == 30
    assert of_kind(events, Finished)[0].reason == "completed"
    assert [text for text in warnings_of(events) if "reached its planned end" in text]
    assert not warnings_of(watch(make_request(tmp_path, resume=True, overrides={"epochs": 3})))


def test_more_epochs_extend_a_run(tmp_path: Path) -> None:
    first = watch(make_request(tmp_path))
    events = watch(make_request(tmp_path, resume=True, overrides={"epochs": 3}))
    assert [event.step for event in of_kind(events, StepFinished)] == list(range(31, 46))
    assert of_kind(events, Finished)[0].step == 45
    assert of_kind(events, Finished)[0].seconds > of_kind(first, Finished)[0].seconds
    assert of_kind(events, RunStarted)[0].time >= of_kind(first, Finished)[0].seconds - 0.5
    names = [line["event"] for line in run_folder(tmp_path).record.read_lines("metrics.jsonl")]
    assert names.count("run_started") == names.count("finished") == 2


def test_lost_steps_are_reported_once(tmp_path: Path) -> None:
    """As after kill -9: the file tells of steps that no checkpoint holds."""
    watch(make_request(tmp_path), at_step(20, lambda controls: controls.stop(hurry=True)))
    folder = run_folder(tmp_path)
    for step in (21, 22, 23):
        folder.record.append_line("metrics.jsonl", json.dumps({"event": "step", "step": step}))
    with (folder.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"event": "step", "st')
    watch(make_request(tmp_path, resume=True), clock=TickingClock(0.05))
    lines = folder.record.read_lines("metrics.jsonl")
    steps = [line["step"] for line in lines if line["event"] == "step"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 30
    assert [line["event"] for line in lines].count("run_started") == 2


def test_the_best_of_an_earlier_session_stays_the_best(tmp_path: Path) -> None:
    first = watch(make_request(tmp_path, epochs=6, averaging=0.0, guard=False))
    best = of_kind(first, Finished)[0].best_nats_per_character
    overrides = {"epochs": 7, "learning_rate": 100.0}  # makes it worse
    published: list[PublishedWeights] = []
    events = watch(
        make_request(tmp_path, resume=True, overrides=overrides), publish=published.append
    )
    assert of_kind(events, Validated)
    assert not any(event.best for event in of_kind(events, Validated))
    assert of_kind(events, Finished)[0].best_nats_per_character == best
    best_step = [event.step for event in of_kind(first, Validated) if event.best][-1]
    assert best_step in saved_steps(tmp_path)
    assert (published[-1].snapshot.step, published[-1].best) == (best_step, True)


@pytest.mark.parametrize(
    ("name", "value"), [("hidden", 9), ("layers", 2), ("embedding", 0), ("sequence", 8)]
)
def test_what_a_trained_network_cannot_change_is_refused(
    name: str, value: int, tmp_path: Path
) -> None:
    watch(make_request(tmp_path))
    with pytest.raises(
        CheckpointError, match=f"the saved run has {name} .*, but {value} was requested"
    ):
        watch(make_request(tmp_path, resume=True, overrides={name: value}))
    assert not run_folder(tmp_path).is_being_written()


def test_weight_decay_may_change_on_resume(tmp_path: Path) -> None:
    def norm_after(decay: float) -> float:
        folder = tmp_path / str(decay)
        watch(make_request(folder, epochs=1, averaging=0.0))
        watch(make_request(folder, resume=True, overrides={"epochs": 3, "weight_decay": decay}))
        newest = max(
            run_folder(folder).checkpoints.saved(pytest.fail), key=lambda s: s.metadata.step
        )
        return float(np.linalg.norm(read_checkpoint(newest.path).weights()["head.weight"]))

    assert norm_after(100.0) < 0.9 * norm_after(0.0)


def test_a_setting_given_again_as_it_was_is_no_change(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    overrides = {"hidden": 8, "sequence": 16, "seed": 5, "epochs": 2}
    events = watch(make_request(tmp_path, resume=True, overrides=overrides))
    assert of_kind(events, RunStarted)[0].seed == 0, "the seed of a begun run is spent"


def test_a_changed_text_is_reported_and_starts_a_new_epoch(tmp_path: Path) -> None:
    watch(make_request(tmp_path), at_step(20, lambda controls: controls.stop(hurry=True)))
    (tmp_path / "text.txt").write_text(make_text(1200, seed=1), encoding="utf-8")
    events = watch(make_request(tmp_path, resume=True))
    assert (
        "the text is not the one that the run was trained on; its epoch starts again"
        in warnings_of(events)
    )
    steps = of_kind(events, StepFinished)
    assert [step.step for step in steps] == list(range(21, 31))
    assert steps[0].epoch == 2


@pytest.mark.parametrize("weights_only", [False, True])
def test_another_text_has_its_own_best(weights_only: bool, tmp_path: Path) -> None:
    """C4: a harder text never reaches the losses of the one before, and its weights count."""
    watch(make_request(tmp_path, run="tiny"))
    folder = run_folder(tmp_path)
    easy = folder.checkpoints.load_best(pytest.fail).metadata
    letters = np.random.default_rng(3).choice(list(VOCABULARY.symbols), 1200)
    (tmp_path / "text.txt").write_text("".join(letters), encoding="utf-8")
    again = make_request(tmp_path, resume=True, weights_only=weights_only, overrides={"epochs": 4})
    events = watch(again)
    assert of_kind(events, RunStarted)[0].new_text
    assert any("the best loss is reset" in text for text in warnings_of(events))
    validated = of_kind(events, Validated)
    assert validated[0].best
    assert min(event.nats_per_character for event in validated) > (easy.nats_per_character or 0.0)
    best = folder.checkpoints.load_best(pytest.fail).metadata
    assert best.source.sha256 != easy.source.sha256
    assert best.nats_per_character == of_kind(events, Finished)[0].best_nats_per_character
    assert best_first(folder.checkpoints.saved(pytest.fail))[0].metadata == best
    kept = {saved.metadata.source.sha256 for saved in folder.checkpoints.saved(pytest.fail)}
    assert kept == {easy.source.sha256, best.source.sha256}, "the best of each text stays"
    lines = of_the_last_text(folder.record.read_lines("metrics.jsonl"))
    losses = [line["nats_per_character"] for line in lines if line["event"] == "validation"]
    assert len(losses) == len(validated)


def test_the_same_text_keeps_its_best(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    before = run_folder(tmp_path).checkpoints.load_best(pytest.fail).metadata
    events = watch(make_request(tmp_path, resume=True, overrides={"epochs": 3}))
    assert not of_kind(events, RunStarted)[0].new_text
    best = of_kind(events, Finished)[0].best_nats_per_character
    assert best is not None
    assert best <= (before.nats_per_character or 0.0)


def test_all_validations_of_a_run_score_as_many_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise their losses could not be compared; C25 bounds them by the planned time."""
    limits: list[int] = []

    def validate(*arguments: Any) -> Validation:
        limits.append(arguments[-1])
        return Validation(nats=1.0)

    monkeypatch.setattr("model.training.training_run.validate", validate)
    watch(make_request(tmp_path, minutes=1e-3, epochs=None))
    first = list(limits)
    assert first == [MIN_VALIDATION_CHARACTERS] * len(first)
    watch(make_request(tmp_path, resume=True, overrides={"epochs": 400}))
    assert len(limits) > len(first)
    assert set(limits) == {MIN_VALIDATION_CHARACTERS}


def test_another_held_out_part_of_the_same_text_is_another_measure(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    overrides = {"validation_fraction": 0.3, "epochs": 3}
    again = make_request(tmp_path, resume=True, weights_only=True, overrides=overrides)
    assert of_kind(watch(again), RunStarted)[0].new_text


def test_weights_alone_continue_with_a_new_optimiser_and_epoch(
    tmp_path: Path,
) -> None:
    watch(make_request(tmp_path), at_step(20, lambda controls: controls.stop(hurry=True)))
    request = make_request(tmp_path, resume=True, weights_only=True, overrides={"batch": 3})
    published: list[PublishedWeights] = []
    events = watch(request, publish=published.append)
    assert any("only the weights were loaded" in text for text in warnings_of(events))
    steps = of_kind(events, StepFinished)
    assert (steps[0].step, steps[0].epoch) == (21, 2)
    assert published[0].snapshot.step == 20
    assert (
        RunFolder(run_folder(tmp_path).path).checkpoints.load_latest(print).metadata.training.batch
        == 3
    )


def test_a_checkpoint_without_a_training_is_resumed_from_its_weights_only(tmp_path: Path) -> None:
    watch(make_request(tmp_path), at_step(20, lambda controls: controls.stop(hurry=True)))
    folder = run_folder(tmp_path)
    bare = folder.checkpoints.load_latest(print)
    weights = {name: array for name, array in bare.tensors.items() if name.startswith("weights.")}
    write_checkpoint(folder.checkpoints.paths()[-1], dataclasses.replace(bare, tensors=weights))
    with pytest.raises(CheckpointError, match=r"no state of a training.*--weights-only"):
        watch(make_request(tmp_path, resume=True))
    assert not folder.is_being_written()
    events = watch(make_request(tmp_path, resume=True, weights_only=True))
    assert of_kind(events, StepFinished)[0].step == 21
    assert of_kind(events, Finished)[0].reason == "completed"


def test_weights_alone_do_not_change_their_shape(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    overrides = {"hidden": 9}
    with pytest.raises(CheckpointError, match="the saved run has hidden 8, but 9 was requested"):
        watch(make_request(tmp_path, resume=True, weights_only=True, overrides=overrides))


def test_a_changed_text_with_other_characters_is_refused(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    (tmp_path / "text.txt").write_text(TEXT + "Ω", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"vocabulary lacks: U.03A9"):
        watch(make_request(tmp_path, resume=True))


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_used(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    newest = run_folder(tmp_path).checkpoints.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    events = watch(make_request(tmp_path, resume=True))
    assert of_kind(events, Planned)[0].first_step == 15
    (words,) = (text for text in warnings_of(events) if str(newest) in text)
    assert words.endswith("step-00000015.safetensors is used instead")
    assert of_kind(events, Finished)[0].step == 30
