"""A generator to go through with ``for`` that has its result afterwards."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


class WithResult(Generic[Step, Result]):
    """Iterates a generator once; ``result`` is what it returned, known once it is exhausted."""

    result: Result

    def __init__(self, generator: Generator[Step, None, Result]) -> None:
        self._generator = generator

    def __iter__(self) -> Iterator[Step]:
        """Yields what the generator yields, and keeps what it returns."""
        self.result = yield from self._generator
