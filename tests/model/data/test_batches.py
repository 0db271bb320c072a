"""Cutting a text into batches."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import TINY_TRAINING

from corpus import CorpusError
from model.config import TrainingConfig
from model.data.batches import Batch, Batches, StreamBatches, WindowBatches, make_batches

WINDOWS = dataclasses.replace(TINY_TRAINING, scoring="last", sequence=12, window_stride=3, batch=8)

lengths = st.integers(20, 400)
streams = st.builds(
    dataclasses.replace,
    st.just(TINY_TRAINING),
    batch=st.integers(1, 9),
    sequence=st.integers(1, 17),
    seed=st.integers(0, 5),
)


def counting(length: int) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    """A text whose ids are their own places, so that a batch tells where it was cut."""
    return np.arange(length, dtype=np.uint16)


def epoch_of(batches: Batches) -> list[Batch]:
    return [batches.next() for _ in range(batches.steps_per_epoch)]


@given(length=lengths, training=streams)
def test_a_stream_goes_on_where_its_last_batch_ended(length: int, training: TrainingConfig) -> None:
    batches = StreamBatches(counting(length), training)
    last = None
    for batch in epoch_of(batches):
        assert batch.inputs.shape == batch.targets.shape == (training.sequence, batches.batch)
        assert (batch.targets == batch.inputs + 1).all()
        assert batch.starts_epoch == (last is None)
        if last is not None:
            assert (batch.inputs[0] == last.targets[-1]).all()
        last = batch


@given(length=lengths, training=streams)
def test_no_character_is_scored_twice_in_an_epoch(length: int, training: TrainingConfig) -> None:
    batches = StreamBatches(counting(length), training)
    for _ in range(3):
        scored = Counter(int(i) for batch in epoch_of(batches) for i in batch.targets.flat)
        assert set(scored.values()) == {1}
        assert len(scored) == batches.steps_per_epoch * batches.batch * training.sequence
        left_out = length - 1 - len(scored)
        assert left_out < 2 * batches.batch * training.sequence


def test_over_the_epochs_every_character_is_scored() -> None:
    batches = StreamBatches(counting(300), TINY_TRAINING)
    scored = {int(i) for _ in range(200) for batch in epoch_of(batches) for i in batch.targets.flat}
    assert scored == set(range(1, 300))


def test_the_borders_of_sequences_move_from_epoch_to_epoch() -> None:
    batches = StreamBatches(counting(1200), TINY_TRAINING)
    assert len({int(epoch_of(batches)[0].inputs[0, 0]) for _ in range(10)}) > 1


def test_windows_are_those_of_the_notebook() -> None:
    text = counting(100)
    batches = WindowBatches(text, WINDOWS)
    expected = {  # the original's loop
        (tuple(text[i : i + 12].tolist()), int(text[i + 12])) for i in range(0, 100 - 12, 3)
    }
    epoch = epoch_of(batches)
    found = [
        (tuple(batch.inputs[:, column].tolist()), int(batch.targets[column]))
        for batch in epoch
        for column in range(len(batch.targets))
    ]
    assert len(found) == len(expected)
    assert set(found) == expected
    assert all(batch.starts_epoch for batch in epoch), "each window starts cold"
    assert [len(batch.targets) for batch in epoch] == [8, 8, 8, 6]


def test_windows_are_shuffled_anew_in_each_epoch() -> None:
    batches = WindowBatches(counting(100), WINDOWS)
    orders = [[int(b.inputs[0, 0]) for b in epoch_of(batches)] for _ in range(3)]
    assert len({tuple(order) for order in orders}) == 3


@pytest.mark.parametrize("training", [TINY_TRAINING, WINDOWS], ids=["streams", "windows"])
@pytest.mark.parametrize("made", [0, 1, 7, 11, 18])
def test_a_restored_position_repeats_what_followed_it(training: TrainingConfig, made: int) -> None:
    batches = make_batches(counting(500), training, subject="text")
    for _ in range(made):
        batches.next()
    position = json.loads(json.dumps(batches.position()))
    following = [batches.next() for _ in range(30)]
    again = make_batches(counting(500), training, subject="text")
    again.restore(position)
    for batch in following:
        repeated = again.next()
        assert np.array_equal(repeated.inputs, batch.inputs)
        assert np.array_equal(repeated.targets, batch.targets)
        assert repeated.starts_epoch == batch.starts_epoch
    assert again.epoch == batches.epoch


def test_the_epoch_is_counted_from_one_and_its_end_is_told() -> None:
    batches = StreamBatches(counting(300), TINY_TRAINING)
    told = []
    for _ in range(3 * batches.steps_per_epoch):
        batches.next()
        told.append((batches.epoch, not batches.steps_left))
    ends = [index for index, (_, end) in enumerate(told, 1) if end]
    assert ends == [batches.steps_per_epoch * epoch for epoch in (1, 2, 3)]
    assert [told[end - 1][0] for end in ends] == [1, 2, 3]


def test_a_short_text_is_read_in_fewer_streams() -> None:
    assert StreamBatches(counting(17), TINY_TRAINING).batch == 1
    assert StreamBatches(counting(33), TINY_TRAINING).batch == 2
    assert WindowBatches(counting(13), WINDOWS).batch == 1


@pytest.mark.parametrize("training", [TINY_TRAINING, WINDOWS], ids=["streams", "windows"])
def test_one_sequence_and_its_target_are_the_least(training: TrainingConfig) -> None:
    make_batches(counting(training.sequence + 1), training, subject="x.txt").next()
    with pytest.raises(CorpusError) as caught:
        make_batches(counting(training.sequence), training, subject="x.txt")
    assert str(caught.value) == (
        f"x.txt: has {training.sequence} characters to train on, and one sequence needs "
        f"{training.sequence + 1}; give a longer text or a smaller --sequence"
    )
