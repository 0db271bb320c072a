"""Threads that share the streams of a batch."""

from __future__ import annotations

import itertools
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE

from model.compute.batch_threads import ONE_THREAD, BatchThreads


@given(count=st.integers(1, 5), streams=st.integers(0, 40))
def test_every_stream_is_in_one_part_and_parts_are_alike(count: int, streams: int) -> None:
    threads = BatchThreads(count)
    parts = threads.map(lambda part: list(range(streams))[part], streams)
    threads.close()
    assert list(itertools.chain(*parts)) == list(range(streams))
    assert len(parts) == min(count, streams)
    assert not parts or max(map(len, parts)) - min(map(len, parts)) <= 1


def test_parts_are_worked_on_at_the_same_time_by_prepared_threads() -> None:
    threads = BatchThreads(2, threads_of_each=3)
    meeting = threading.Barrier(2, timeout=PATIENCE)

    def work(_: slice) -> tuple[int, int]:
        meeting.wait()  # breaks, and fails the test, where one thread does both
        return threading.get_ident(), torch.get_num_threads()

    before = torch.get_num_threads()
    (first, first_count), (second, second_count) = threads.map(work, 8)
    threads.close()
    assert first == threading.get_ident() != second, "the caller works, too"
    assert (first_count, second_count) == (3, 3)
    assert torch.get_num_threads() == before


def test_one_part_is_the_callers_own_work() -> None:
    assert ONE_THREAD.map(lambda _: threading.get_ident(), 8) == [threading.get_ident()]


@pytest.mark.parametrize("failing", [0, 4])
def test_an_error_in_a_thread_is_the_callers(failing: int) -> None:
    threads, worked = BatchThreads(2), []

    def work(part: slice) -> None:
        worked.append(part.start)
        if part.start == failing:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        threads.map(work, 8)
    assert sorted(worked) == [0, 4], "no part is still at work, and none was left out"
    threads.close()
