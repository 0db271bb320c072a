"""A generator that one iterates and whose result one wants, too."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from corpus.generators import GeneratorWithResult


def counting(closed: list[bool]) -> Generator[int, None, str]:
    try:
        yield 1
        yield 2
    finally:
        closed.append(True)
    return "done"


def test_the_result_is_there_after_the_last_step() -> None:
    closed: list[bool] = []
    work = GeneratorWithResult(counting(closed))
    assert list(work) == [1, 2]
    assert (work.result, closed) == ("done", [True])


def test_there_is_none_before() -> None:
    work = GeneratorWithResult(counting([]))
    steps = iter(work)
    assert next(steps) == 1
    with pytest.raises(AttributeError):
        _ = work.result


def test_leaving_early_closes_the_generator() -> None:
    closed: list[bool] = []
    for _ in GeneratorWithResult(counting(closed)):
        break
    assert closed == [True]
