"""Counts the grams of a text by sorting, one length after the other. Knows no smoothing.

A gram of n characters is a context of n - 1 characters and the character after it. Grams of one
length are numbered in the order of (number of the context, id of the character), so the number of
a gram and the next character together identify the longer gram: no hash, any vocabulary.
Letters: K characters, G distinct grams of one length, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.ngram.errors import BuildCancelled

Counts = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grams:
    """All distinct grams of one length, in their order."""

    contexts: NDArray[np.uint32]
    """[G], the number of each gram's context among the grams that are one character shorter."""
    symbols: NDArray[Any]
    """[G], the id of each gram's last character."""
    counts: Counts
    """[G]: of the longest grams their occurrences; of a shorter one the number of different
    characters before it, where the beginning of the text is one more."""


def count_grams(
    ids: NDArray[Any], symbols: int, order: int, cancelled: Callable[[], bool]
) -> Iterator[Grams]:
    """Yields the grams of 1 to ``order + 1`` characters; a short text has no longer ones.

    Args:
        ids: the text [K].
        symbols: V.
        order: characters of the longest context.
        cancelled: is asked before each length.

    Raises:
        BuildCancelled: ``cancelled`` returned true.
    """
    # Of the gram that ends at each character, from the first whole gram on.
    numbers = np.zeros(len(ids) + 1, np.uint32)
    shorter: _Distinct | None = None
    for length in range(1, min(order + 1, len(ids)) + 1):
        if cancelled():
            raise BuildCancelled
        distinct, longer_numbers = _distinct_grams(numbers[:-1], ids[length - 1 :], symbols)
        if shorter is not None:
            yield _with_predecessors(shorter, numbers, distinct.examples)
        shorter, numbers = distinct, longer_numbers
    if shorter is not None:
        yield Grams(
            contexts=shorter.contexts,
            symbols=shorter.symbols,
            counts=np.bincount(numbers, minlength=len(shorter.symbols)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Distinct:
    """Distinct grams of one length, without their counts."""

    contexts: NDArray[np.uint32]
    symbols: NDArray[Any]
    examples: NDArray[np.uint32]
    """[G], which of the text's grams of this length is each, the first of several."""


def _distinct_grams(
    contexts: NDArray[np.uint32], ids: NDArray[Any], symbols: int
) -> tuple[_Distinct, NDArray[np.uint32]]:
    """Sorts the grams of one length; returns the distinct ones and the number of each.

    Args:
        contexts: [T], the number of each gram's context.
        ids: [T], each gram's last character.
        symbols: V.
    """
    keys = contexts.astype(np.int64)
    keys *= symbols
    keys += ids
    places = np.argsort(keys)
    keys = keys[places]
    is_first = np.empty(len(keys), bool)
    is_first[0] = True
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    examples = places[is_first].astype(np.uint32)
    keys = keys[is_first]
    numbers = np.empty(len(places), np.uint32)
    numbers[places] = np.cumsum(is_first, dtype=np.uint32) - np.uint32(1)
    del places
    distinct = _Distinct(
        contexts=(keys // symbols).astype(np.uint32),
        symbols=(keys % symbols).astype(ids.dtype),
        examples=examples,
    )
    return distinct, numbers


def _with_predecessors(
    grams: _Distinct, numbers: NDArray[np.uint32], longer: NDArray[np.uint32]
) -> Grams:
    """Counts before how many different characters each gram stands.

    Args:
        grams: all grams of one length.
        numbers: of the gram of this length that ends at each character.
        longer: an index into ``numbers[1:]`` for each distinct gram of one character more.
    """
    counts = np.bincount(numbers[1:][longer], minlength=len(grams.symbols))
    counts[numbers[0]] += 1
    return Grams(contexts=grams.contexts, symbols=grams.symbols, counts=counts)
