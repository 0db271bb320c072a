"""Gives a ``for`` loop over a generator access to the value that the generator returns."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


class GeneratorWithResult(Generic[Step, Result]):
    """Iterates over a generator once, and stores the value that it returns."""

    result: Result
    """The returned value; set when the generator is exhausted."""

    def __init__(self, generator: Generator[Step, None, Result]) -> None:
        self._generator = generator

    def __iter__(self) -> Iterator[Step]:
        """Yields the steps of the generator, then stores its result."""
        self.result = yield from self._generator
