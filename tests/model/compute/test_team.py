"""Threads that run one function together."""

from __future__ import annotations

import threading

import pytest
from patience import PATIENCE, wait_until

from model.compute.team import Arrivals, Team


@pytest.mark.parametrize("size", [1, 3])
def test_ranks_run_at_the_same_time_and_answer_in_their_order(size: int) -> None:
    team, meeting = Team(size), threading.Barrier(size, timeout=PATIENCE)

    def work(rank: int, arrivals: Arrivals) -> int:
        meeting.wait()  # breaks, and fails the test, where a thread has two ranks
        assert len(arrivals) == size + 1
        return 10 * rank

    assert team.run(size, work) == [10 * rank for rank in range(size)]
    team.close()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_no_rank_waits_for_one_that_has_failed(failing: int) -> None:
    team, ended = Team(3), set()

    def work(rank: int, arrivals: Arrivals) -> None:
        if rank == failing:
            raise ZeroDivisionError
        wait_until(lambda: arrivals[-1, 0] != 0, "the failure")
        ended.add(rank)

    with pytest.raises(ZeroDivisionError):
        team.run(3, work)
    assert ended == {0, 1, 2} - {failing}
    team.close()


def test_no_rank_waits_for_one_that_could_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    team, told = Team(3), threading.Event()
    submit = team._pool.submit

    def work(_: int, arrivals: Arrivals) -> None:
        wait_until(lambda: arrivals[-1, 0] != 0, "the failure")
        told.set()

    def start(function: object, rank: int) -> object:
        if rank == 2:
            raise RuntimeError("can't start new thread")
        return submit(function, rank)  # type: ignore[arg-type]

    monkeypatch.setattr(team._pool, "submit", start)
    with pytest.raises(RuntimeError):
        team.run(3, work)
    assert told.is_set(), "the team is not done before its threads are"
    team.close()
