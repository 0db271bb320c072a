"""Finds the words of a sampled text that the corpus lacks, and the spans copied from it. NumPy.

The index is exact. Words are a set. Spans are found by the hash of every span of the corpus,
sorted (8 bytes a character) beside the places that they come from (4 bytes); a hash that matches
is compared with the text itself. Hashes are polynomials modulo 2**64 over a random number for each
symbol (Karp & Rabin 1987).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from corpus.vocabulary import Vocabulary

SPAN: Final = 30
"""Minimum length of a copied span, characters."""
MAX_INDEXED_CHARACTERS: Final = 25_000_000
"""Making the index takes about 25 bytes for each character (313 MB for 16 million)."""
_BASE: Final = 0x9E3779B97F4A7C15
_MASK: Final = 2**64 - 1
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # noqa: RUF001 - both apostrophes
_APOSTROPHES: Final = "'’"  # noqa: RUF001 - both
_LETTER: Final = re.compile(r"[^\W\d_]")
_CHUNK: Final = 1 << 18


class NoveltyIndex:
    """All words and all spans of one corpus."""

    def __init__(self, ids: NDArray[Any], vocabulary: Vocabulary) -> None:
        """Reads the whole text once; takes about half a second for a million characters.

        Args:
            ids: the text, one-dimensional.
            vocabulary: what the ids mean.
        """
        self._ids = ids
        self._ids_by_symbol = {symbol: i for i, symbol in enumerate(vocabulary.symbols)}
        self._numbers = np.random.default_rng(0).integers(
            0, 2**64, max(1, len(vocabulary)), np.uint64
        )
        self._words = frozenset(_words_of(ids, vocabulary))
        hashes = _span_hashes(self._numbers[ids])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._places = order.astype(np.uint32 if len(ids) < 2**32 else np.uint64)

    @property
    def nbytes(self) -> int:
        """Bytes of the index, the text itself left out; of a word its characters and 60 more."""
        words = sum(60 + len(word) for word in self._words)
        return self._hashes.nbytes + self._places.nbytes + self._numbers.nbytes + words

    def knows_word(self, word: str) -> bool:
        """Returns whether the corpus holds the word, ignoring case."""
        return word.casefold() in self._words

    def id_of(self, character: str) -> int:
        """Returns the id of a character; -1 for one that the corpus lacks."""
        return self._ids_by_symbol.get(character, -1)

    def number_of(self, symbol_id: int) -> int:
        """Returns the number that stands for a symbol in hashes."""
        return int(self._numbers[symbol_id])

    def holds(self, hashed: int, span: list[int]) -> bool:
        """Whether a span of ids stands in the corpus.

        Args:
            hashed: its hash.
            span: `SPAN` ids.
        """
        first = int(np.searchsorted(self._hashes, np.uint64(hashed)))
        wanted = np.array(span)
        while first < len(self._hashes) and int(self._hashes[first]) == hashed:
            place = int(self._places[first])
            if np.array_equal(self._ids[place : place + SPAN], wanted):
                return True
            first += 1  # another span with an equal hash; this is rare
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A part of a sampled text."""

    kind: Literal["new word", "copied"]
    start: int
    """Characters of the text before it."""
    end: int
    """Characters of the text up to its end."""


class NoveltyTracker:
    """Reads a text as it is sampled, and finds new words and copied spans."""

    def __init__(self, index: NoveltyIndex) -> None:
        self._index = index
        self._high = pow(_BASE, SPAN - 1, 2**64)
        self.restart()

    def restart(self) -> None:
        """Starts again with an empty text."""
        self.characters = 0
        self.copied = 0
        """Characters that are part of a copied span."""
        self.new_words = 0
        self.newest_word = ""
        """The last of the new words."""
        self._copied_to = 0
        self._word: list[str] = []
        self._span: list[int] = []
        self._hash = 0

    def add(self, character: str) -> Iterator[Finding]:
        """Takes the next character; yields the findings that it completes."""
        self.characters += 1
        yield from self._add_to_word(character)
        yield from self._add_to_span(character)

    def _add_to_word(self, character: str) -> Iterator[Finding]:
        if _LETTER.fullmatch(character):
            self._word.append(character)
            return
        if character in _APOSTROPHES and self._word and self._word[-1] not in _APOSTROPHES:
            self._word.append(character)
            return
        word = "".join(self._word)
        self._word.clear()
        kept = word.rstrip(_APOSTROPHES)
        if kept and not self._index.knows_word(kept):
            self.new_words += 1
            self.newest_word = kept
            start = self.characters - 1 - len(word)
            yield Finding(kind="new word", start=start, end=start + len(kept))

    def _add_to_span(self, character: str) -> Iterator[Finding]:
        index, symbol = self._index, self._index.id_of(character)
        if symbol < 0:
            self._span.clear()
            self._hash = 0
            return
        if len(self._span) == SPAN:
            gone = index.number_of(self._span.pop(0))
            self._hash = (self._hash - gone * self._high) & _MASK
        self._span.append(symbol)
        self._hash = (self._hash * _BASE + index.number_of(symbol)) & _MASK
        if len(self._span) == SPAN and index.holds(self._hash, self._span):
            start = max(self._copied_to, self.characters - SPAN)
            self._copied_to = self.characters
            self.copied += self.characters - start
            yield Finding(kind="copied", start=start, end=self.characters)


def _words_of(ids: NDArray[Any], vocabulary: Vocabulary) -> Iterator[str]:
    """Yields the words of a text in chunks, whose borders lie between words."""
    start = 0
    while start < len(ids):
        text = vocabulary.decode(ids[start : start + _CHUNK])
        end = len(text)
        if start + end < len(ids):
            while end and (_LETTER.fullmatch(text[end - 1]) or text[end - 1] in _APOSTROPHES):
                end -= 1
            end = end or len(text)
        for match in _WORD.finditer(text, 0, end):
            yield match.group().casefold()
        start += end


def _span_hashes(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns the hash of every span of `SPAN` numbers; lengths double, then are put together."""
    if len(numbers) < SPAN:
        return np.empty(0, np.uint64)
    hashes, length = numbers, 1
    total: NDArray[np.uint64] | None = None
    covered = 0
    while True:
        if SPAN & length:
            # Parts from short to long: each longer one stands before those that are there.
            part = hashes[: len(numbers) - length + 1]
            if total is None:
                total = part
            else:
                count = len(numbers) - length - covered + 1
                factor = np.uint64(pow(_BASE, covered, 2**64))
                total = part[:count] * factor + total[length : length + count]
            covered += length
        if covered == SPAN:
            assert total is not None
            return total
        factor = np.uint64(pow(_BASE, length, 2**64))
        hashes = hashes[:-length] * factor + hashes[length:]
        length *= 2
