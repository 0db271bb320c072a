"""The queue that nobody may be made to wait for."""

from __future__ import annotations

import dataclasses
import threading

from hypothesis import given
from hypothesis import strategies as st

from model.events import Event, StepFinished, WarningRaised
from model.session.event_queue import EventQueue


def step(number: int) -> StepFinished:
    return StepFinished(
        time=0.0,
        step=number,
        epoch=1,
        loss=1.0,
        learning_rate=0.1,
        gradient_norm=1.0,
        characters_per_second=1.0,
    )


def warning(number: int) -> WarningRaised:
    return WarningRaised(time=0.0, text=str(number))


def test_events_come_out_once_in_their_order() -> None:
    queue = EventQueue()
    events: list[Event] = [step(1), warning(1), step(2)]
    for event in events:
        queue.put(event)
    assert list(queue.take_all()) == events
    assert list(queue.take_all()) == []


@given(rare=st.sets(st.integers(0, 999), max_size=5), capacity=st.integers(8, 40))
def test_when_nobody_takes_them_steps_are_thinned_and_all_else_is_kept(
    rare: set[int], capacity: int
) -> None:
    queue = EventQueue(capacity=capacity)
    for number in range(1000):
        queue.put(warning(number) if number in rare else step(number))
    taken = queue.take_all()
    assert len(taken) <= capacity
    kept = [event for event in taken if isinstance(event, WarningRaised)]
    assert kept == [warning(number) for number in sorted(rare)]
    steps = [event.step for event in taken if isinstance(event, StepFinished)]
    assert steps == sorted(steps)
    assert len(steps) >= (capacity - len(rare)) // 2 - 1
    assert steps[0] < 10, "the curve still begins where it began"
    assert steps[-1] >= 994


def test_below_its_capacity_nothing_is_lost() -> None:
    queue = EventQueue(capacity=50)
    for number in range(50):
        queue.put(step(number))
    assert [event.step for event in queue.take_all() if isinstance(event, StepFinished)] == list(
        range(50)
    )


def test_nothing_is_lost_or_doubled_between_two_threads() -> None:
    queue, count = EventQueue(), 20_000
    taken: list[Event] = []

    def write() -> None:
        for number in range(count):
            queue.put(warning(number))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        taken.extend(queue.take_all())
    taken.extend(queue.take_all())
    assert taken == [dataclasses.replace(warning(0), text=str(n)) for n in range(count)]
