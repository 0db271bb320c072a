"""One checkpoint file: what is written is read, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import (
    TINY_MODEL,
    TINY_TRAINING,
    VOCABULARY,
    make_checkpoint,
    make_training_checkpoint,
    write_forged,
)

from model.config import ADDED_LATER, ModelConfig
from model.errors import CheckpointError
from model.runs import checkpoint_file as checkpoint_module
from model.runs.checkpoint import FORMAT_VERSION, Checkpoint, describe_metadata
from model.runs.checkpoint_file import read_checkpoint, read_metadata, write_checkpoint
from model.runs.checkpoint_form import checkpoint_size

LONGEST_CAUSE = 200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "step-00000001.safetensors"
    write_checkpoint(path, make_checkpoint(nats=1.25))
    return path


def assert_refused(path: Path) -> str:
    """Expects one short line about `path`, after less than two seconds of work."""
    began = time.thread_time()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert time.thread_time() - began < 2
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) - len(str(path)) < LONGEST_CAUSE
    assert caught.value.remedy
    return message


# --- what is whole ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [ModelConfig(hidden=8, layers=layers, embedding=e) for layers in (1, 3) for e in (0, 4)],
    ids=str,
)
def test_it_comes_back_as_it_was_written(model: ModelConfig, tmp_path: Path) -> None:
    written = make_checkpoint(step=7, nats=1.5, best_nats=1.25, model=model)
    tensors = written.tensors
    write_checkpoint(tmp_path / "c", written)
    read = read_checkpoint(tmp_path / "c")
    assert read.metadata == written.metadata == read_metadata(tmp_path / "c")
    assert set(read.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert read.tensors[name].dtype == tensor.dtype
        assert np.array_equal(read.tensors[name].ravel(), tensor.ravel())
    assert set(read.weights()) == {n[8:] for n in tensors if n.startswith("weights.")}
    assert read.snapshot().step == 7


@pytest.mark.parametrize("optimiser", ["adamw", "rmsprop"])
def test_all_that_a_training_goes_on_from_comes_back(optimiser: Any, path: Path) -> None:
    training = dataclasses.replace(TINY_TRAINING, optimiser=optimiser, weight_decay=0.0)
    written = make_training_checkpoint(training=training)
    write_checkpoint(path, written)
    read = read_checkpoint(path)
    assert read.metadata == written.metadata == read_metadata(path)
    assert set(read.tensors) == set(written.tensors)
    for name, tensor in written.tensors.items():
        assert np.array_equal(read.tensors[name], tensor), name
        assert read.tensors[name].flags.writeable


def test_a_vocabulary_of_odd_characters_comes_back(tmp_path: Path) -> None:
    symbols = ["\n", '"', "\\", "\x1b", "\u2028", "\U0001f600", *map(chr, range(97, 97 + 50))]
    vocabulary = type(VOCABULARY).from_symbols(symbols[: len(VOCABULARY)])
    written = make_checkpoint()
    metadata = dataclasses.replace(written.metadata, vocabulary=vocabulary)
    write_checkpoint(tmp_path / "c", dataclasses.replace(written, metadata=metadata))
    assert read_checkpoint(tmp_path / "c").metadata.vocabulary == vocabulary


@pytest.mark.parametrize(
    ("nats", "best_nats", "best"), [(1.0, 1.0, True), (1.5, 1.0, False), (None, 1.0, False)]
)
def test_it_is_the_best_where_its_loss_is_the_lowest(
    nats: float | None, best_nats: float, best: bool
) -> None:
    assert make_checkpoint(nats=nats, best_nats=best_nats).metadata.best is best


def test_what_was_read_is_private_memory(path: Path) -> None:
    read = read_checkpoint(path)
    before = {name: value.copy() for name, value in read.tensors.items()}
    path.write_bytes(b"\0" * path.stat().st_size)
    assert all(np.array_equal(read.tensors[name], before[name]) for name in before)


# --- what is damaged ----------------------------------------------------------------------------


def test_every_truncation_is_refused(path: Path) -> None:
    data = path.read_bytes()
    lengths = {*range(20), *np.linspace(20, len(data) - 1, 60, dtype=int).tolist()}
    for length in lengths:
        path.write_bytes(data[:length])
        assert_refused(path)


def test_every_flipped_bit_is_refused(path: Path) -> None:
    data = path.read_bytes()
    random = np.random.default_rng(0)
    header = 8 + int.from_bytes(data[:8], "little")
    bits = [
        *range(64),
        *random.integers(64, header * 8, 250),
        *random.integers(header * 8, len(data) * 8, 150),
    ]
    for bit in map(int, bits):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert_refused(path)


@settings(max_examples=60)
@given(start=st.floats(0, 1), length=st.integers(1, 4096), filling=st.sampled_from([0, 255]))
def test_every_erased_page_is_refused(
    start: float, length: int, filling: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("erased") / "c"
    write_checkpoint(path, make_checkpoint())
    data = bytearray(path.read_bytes())
    first = int(start * (len(data) - 1))
    erased = (
        data[:first] + bytes([filling]) * len(data[first : first + length]) + data[first + length :]
    )
    path.write_bytes(erased)
    if erased == data:
        read_checkpoint(path)
    else:
        assert_refused(path)


@settings(max_examples=100)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("bytes") / "c"
    path.write_bytes(data)
    assert_refused(path)


class WritesAFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.write_text, (self.path, "code was run"))


def test_a_pickle_is_refused_and_not_run(path: Path) -> None:
    victim = path.with_name("victim")
    path.write_bytes(pickle.dumps(WritesAFile(victim)))
    assert_refused(path)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b"\0" * 5000, "is not a charlm checkpoint"),
        (b"the cat sat on the mat\n" * 50, "is not a charlm checkpoint"),
        (b"\xff" * 8, "is not a charlm checkpoint"),
        (b"\x02\0\0\0\0\0\0\0{}", "is not a charlm checkpoint"),
        ((10**5).to_bytes(8, "little") + b"[" * 10**5, "is not a charlm checkpoint"),
    ],
    ids=["empty", "zeroed", "text", "ones", "no metadata", "deeply nested"],
)
def test_what_is_no_checkpoint_is_called_so(content: bytes, cause: str, path: Path) -> None:
    path.write_bytes(content)
    assert cause in assert_refused(path)


def test_a_safetensors_file_of_another_program_is_refused(path: Path) -> None:
    tensors = {"weights": np.zeros(3, np.float32)}
    for metadata in (None, {"format": "pt"}, {"charlm": "[]"}, {"charlm": "7"}, {"charlm": ""}):
        path.write_bytes(safetensors.numpy.save(tensors, metadata=metadata))
        assert_refused(path)


def test_a_missing_file_is_called_so(tmp_path: Path) -> None:
    assert "no such checkpoint; see `charlm-tui runs`" in assert_refused(tmp_path / "none")


def test_a_folder_or_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        assert "is not a regular file" in assert_refused(tmp_path / name)


def test_tensors_of_another_shape_are_refused(path: Path) -> None:
    good = make_checkpoint()
    other = make_checkpoint(model=dataclasses.replace(TINY_MODEL, hidden=9))
    write_forged(path, dataclasses.replace(good, tensors=other.tensors))
    assert "not float32" in assert_refused(path)


def test_missing_extra_or_retyped_tensors_are_refused(path: Path) -> None:
    good = make_checkpoint()
    missing = {k: v for k, v in good.tensors.items() if k != "weights.head.bias"}
    extra = {**good.tensors, "weights.lstm.bias_hh_l1": np.zeros(32, np.float32)}
    retyped = {**good.tensors, "weights.head.bias": np.zeros(len(VOCABULARY), np.float16)}
    for tensors, cause in (
        (missing, "has missing tensors: weights.head.bias"),
        (extra, "has extra tensors: weights.lstm.bias_hh_l1"),
        (retyped, "is not a charlm checkpoint"),
    ):
        write_forged(path, dataclasses.replace(good, tensors=tensors))
        assert cause in assert_refused(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_never_saved(bad: float, path: Path) -> None:
    before = path.read_bytes()
    good = make_training_checkpoint()
    for name in ("weights.head.bias", "optimiser.head.bias.exp_avg"):
        spoilt = np.full_like(good.tensors[name], bad)
        tensors = {**good.tensors, name: spoilt}
        with pytest.raises(CheckpointError, match="is not finite; it was not saved"):
            write_checkpoint(path, dataclasses.replace(good, tensors=tensors))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["average.head.bias", "optimiser.head.bias.exp_avg_sq", "state.cell", "random.torch"]
)
def test_what_is_no_weight_is_compared_with_the_settings_as_well(name: str, path: Path) -> None:
    """B1: shapes, presence and numbers of everything that a training goes on from."""
    good = make_training_checkpoint()
    array = good.tensors[name]
    assert array.size
    spoilt = array.copy()
    spoilt.reshape(-1)[-50:] = np.nan if array.dtype == np.float32 else 255
    others = {other: value for other, value in good.tensors.items() if other != name}
    for tensors, cause in (
        ({**others, name: array.reshape(-1)[:-1]}, f"{name} is "),
        (others, "has missing tensors"),
        ({**others, name: spoilt}, f"{name} is "),
    ):
        write_forged(path, dataclasses.replace(good, tensors=tensors))
        assert cause in assert_refused(path)


def test_more_than_the_memory_holds_is_refused_before_it_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B10: a file of holes can have the very size that its settings imply."""
    monkeypatch.setattr(checkpoint_module, "MIN_BYTES_FOR_MEMORY_CHECK", 0)
    monkeypatch.setattr(checkpoint_module, "free_memory", lambda: 100)
    assert "GB of memory, and 0.0 are free" in assert_refused(path)


def test_squares_are_never_negative(path: Path) -> None:
    good = make_training_checkpoint()
    name = "optimiser.head.bias.exp_avg_sq"
    write_forged(
        path, dataclasses.replace(good, tensors={**good.tensors, name: -good.tensors[name]})
    )
    assert f"{name} holds a number below 0" in assert_refused(path)


def test_weights_that_are_not_finite_are_refused(path: Path) -> None:
    good = make_checkpoint()
    spoilt = {name: value.copy() for name, value in good.tensors.items()}
    spoilt["weights.head.bias"][0] = np.nan
    write_forged(path, dataclasses.replace(good, tensors=spoilt))
    assert "head.bias is not finite" in assert_refused(path)


def test_metadata_are_verified_without_the_tensors(path: Path) -> None:
    """A flipped digit of a loss must not make a checkpoint the best."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b"1.25", b"1.24", 1))
    with pytest.raises(CheckpointError, match="checksum of its metadata does not match"):
        read_metadata(path)
    path.write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match="cut short"):
        read_metadata(path)
    name = checkpoint_module.METADATA_DIGEST_KEY.encode()
    path.write_bytes(data.replace(name, name[:-1] + b"7"))
    assert "checksum" in assert_refused(path)


def test_a_checkpoint_of_the_first_release_is_read(path: Path) -> None:
    """Its header has one checksum, and its records the fields of that time."""
    as_it_was = make_training_checkpoint()
    tensors = {name: v for name, v in as_it_was.tensors.items() if not name.startswith("average.")}
    record = describe_metadata(as_it_was.metadata)
    del record["model"]["network"]
    for name in frozenset().union(*ADDED_LATER) - {"network"}:
        del record["training"][name]
    for name in ("include", "exclude", "document_mark"):
        del record["corpus"][name]
    progress = {name: record["progress"][name] for name in ("step", "batches")}
    record["progress"] = {**progress, "learning_rate_scale": 0.5, "roll_backs": 1}
    description = json.dumps(record)
    header = {"charlm": description, "sha256": checkpoint_module._digest(description, tensors)}
    path.write_bytes(safetensors.numpy.save(tensors, metadata=header))
    assert read_metadata(path).step == read_checkpoint(path).metadata.step == 7


def test_its_size_is_known_before_it_is_written(tmp_path: Path) -> None:
    checkpoint = make_training_checkpoint()
    write_checkpoint(tmp_path / "c", checkpoint)
    expected = checkpoint_size(TINY_MODEL, checkpoint.metadata.training, len(VOCABULARY))
    assert 0 < (tmp_path / "c").stat().st_size - expected < 20_000


def student(since: object = (3, 0.5)) -> Checkpoint:
    """Returns a checkpoint of a student, with its teacher's weights."""
    training = dataclasses.replace(TINY_TRAINING, teacher_share=0.4)
    made = make_training_checkpoint(training=training)
    teacher = {f"teacher.{name}": value * 0.9 for name, value in made.weights().items()}
    progress = {**made.metadata.progress, "student_since": since}
    metadata = dataclasses.replace(made.metadata, progress=progress)
    return Checkpoint(metadata=metadata, tensors={**made.tensors, **teacher})


def test_a_student_is_saved_with_its_teacher_and_the_size_counts_both(path: Path) -> None:
    made = student()
    write_checkpoint(path, made)
    read = read_checkpoint(path)
    assert set(read.tensors) == set(made.tensors)
    assert list(read.metadata.progress["student_since"]) == [3, 0.5]
    expected = checkpoint_size(TINY_MODEL, made.metadata.training, len(VOCABULARY))
    assert 0 < path.stat().st_size - expected < 20_000


def test_a_teacher_is_there_if_and_only_if_there_is_a_student(path: Path) -> None:
    made = student()
    alone = {name: value for name, value in made.tensors.items() if "teacher." not in name}
    write_forged(path, dataclasses.replace(made, tensors=alone))
    assert "missing tensors: teacher." in assert_refused(path)
    write_forged(path, student(since=None))
    assert "extra tensors: teacher." in assert_refused(path)


@pytest.mark.parametrize("since", [7, [], [3], [3, 1, 1], [-1, 0.5], [0.5, 1], [3, -1], [3, "a"]])
def test_a_student_without_a_right_beginning_is_refused(since: object, path: Path) -> None:
    write_forged(path, student(since))
    assert "student_since" in assert_refused(path)


def test_a_later_format_asks_for_an_upgrade(path: Path) -> None:
    write_forged(path, make_checkpoint(), format=FORMAT_VERSION + 1)
    assert "made by a later charlm-tui; upgrade charlm-tui" in assert_refused(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("step", float("inf")),
        ("step", "seven"),
        ("seconds", None),
        ("nats_per_character", "low"),
        ("best_nats_per_character", [1]),
        ("model", {"hidden": -1}),
        ("model", {"hidden": "8"}),
        ("model", []),
        ("training", {"epochs": None, "minutes": None}),
        ("vocabulary", ""),
        ("vocabulary", 5),
        ("vocabulary", "\ud800"),
        ("corpus", {}),
        ("corpus", None),
        ("progress", None),
    ],
)
def test_metadata_that_make_no_sense_are_refused(field: str, value: Any, path: Path) -> None:
    write_forged(path, make_checkpoint(), **{field: value})
    assert "holds invalid metadata" in assert_refused(path)
