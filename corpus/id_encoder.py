"""Converts characters to ids in one pass, with a given vocabulary or a new one.

A new vocabulary grows while the text is read. Its ids are provisional, in the order of first
appearance; `finish` renumbers them to code point order.
"""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from corpus.cache.ids_array import MAX_IDS_IN_MEMORY, IdStore
from corpus.errors import CorpusError, UnknownSymbolsError
from corpus.vocabulary import (
    CODE_POINTS,
    Vocabulary,
    code_points,
    shown_symbols,
    smallest_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CHARACTERS_PER_PIECE = 1 << 16
"""Characters that are looked up in one call. Their intermediate arrays fit in a core's cache. In a
text with few accents, most pieces are ASCII."""


class IdEncoder:
    """Takes a text piece by piece and stores its ids. Always call `close`."""

    def __init__(
        self,
        label: str,
        *,
        vocabulary: Vocabulary | None,
        unknown: Literal["refuse", "skip"],
        maximum_vocabulary: int,
        max_ids_in_memory: int = MAX_IDS_IN_MEMORY,
    ) -> None:
        self.characters = 0
        """Number of characters so far, including skipped ones."""
        self.skipped = 0
        """Number of characters left out so far."""
        self.last_character = ""
        """The last character so far; empty before the first one."""
        self._label = label
        self._given = vocabulary
        self._skip = unknown == "skip"
        self._maximum = maximum_vocabulary
        # code point -> id, -1 where there is none (yet): int32, 4.4 MB.
        self._table = np.full(CODE_POINTS, -1, np.int32)
        if vocabulary is not None:
            self._table[vocabulary.codes] = np.arange(len(vocabulary), dtype=np.int32)
        self._learned: list[int] = []
        # Given ids that have not appeared yet; None if all have, or without a given vocabulary.
        self._unmet = None if vocabulary is None else np.ones(len(vocabulary), np.bool_)
        self._unknown: set[int] = set()
        self._sha256 = hashlib.sha256()
        dtype = smallest_dtype(1) if vocabulary is None else vocabulary.dtype
        self._store = IdStore(dtype, max_ids_in_memory=max_ids_in_memory)

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of all characters so far, in UTF-8."""
        return self._sha256.hexdigest()

    @property
    def unknown_symbols(self) -> tuple[str, ...]:
        """Symbols of the text that the given vocabulary lacks, in code point order."""
        return tuple(map(chr, sorted(self._unknown)))

    @property
    def file(self) -> IO[bytes] | None:
        """The file that holds the ids; None while they are in memory."""
        return self._store.file

    @property
    def has_own_vocabulary(self) -> bool:
        """Whether the vocabulary consists of exactly the symbols of the text."""
        return self._unmet is None and not self._unknown

    def add(self, text: str) -> None:
        """Appends a piece of the text.

        Raises:
            CorpusError: the text holds half a surrogate pair.
            CorpusAccessError: the disk is full or fails.
        """
        for start in range(0, len(text), CHARACTERS_PER_PIECE):
            self._add(text[start : start + CHARACTERS_PER_PIECE])

    def finish(self) -> Iterator[float]:
        """Renumbers the ids to code point order; yields the completed part after each block.

        Raises:
            CorpusError: there are no characters, too many distinct ones, or unknown ones.
        """
        if self.characters == 0:
            raise CorpusError(self._label, "is empty", "give a text that is not empty")
        if self._given is not None:
            self._require_known(self._given)
            return
        count = len(self._learned)
        if count > self._maximum:
            raise CorpusError(
                self._label,
                f"has {count:,} distinct characters, more than {self._maximum}",
                "check its encoding, or give a text with fewer",
            )
        # Example: a symbol that appeared third and is first in code point order: id 2 becomes 0.
        order = np.argsort(np.array(self._learned))
        new_ids = np.empty(count, np.int64)
        new_ids[order] = np.arange(count)
        yield from self._store.renumber(new_ids)

    def result(self) -> tuple[NDArray[Any], Vocabulary]:
        """Returns the ids, shape (characters - skipped,), and their vocabulary, after `finish`."""
        vocabulary = self._given or Vocabulary.from_symbols(map(chr, self._learned))
        return self._store.array(), vocabulary

    def close(self) -> None:
        """Releases memory and file; ids that were returned stay valid."""
        self._store.close()

    def _add(self, text: str) -> None:
        """Appends a piece that is not empty."""
        try:
            self._sha256.update(text.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise CorpusError(
                self._label,
                f"character {self.characters + error.start + 1} is half a surrogate pair",
                "name the right encoding, for example --encoding utf-8",
            ) from None
        self.last_character = text[-1]
        codes = code_points(text)
        self.characters += len(codes)
        ids = self._table.take(codes)
        if int(ids.min()) < 0:
            ids = self._meet(codes, ids)
        if self._unmet is not None:
            self._unmet[ids] = False
            if not self._unmet.any():
                self._unmet = None
        if not self._refused():
            self._store.append(ids)

    def _meet(
        self, codes: NDArray[np.unsignedinteger[Any]], ids: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        met = np.unique(codes[ids < 0])
        if self._given is not None:
            self._unknown.update(met.tolist())
            known = ids[ids >= 0]
            self.skipped += len(ids) - len(known)
            return known
        count = len(self._learned)
        self._learned.extend(met.tolist())
        self._table[met] = np.arange(count, len(self._learned), dtype=np.int32)
        dtype = smallest_dtype(len(self._learned))
        if dtype != self._store.dtype and not self._refused():
            self._store = self._store.widened(dtype)
        return self._table.take(codes)

    def _refused(self) -> bool:
        """Whether `finish` will fail; then only the symbols are counted."""
        return len(self._learned) > self._maximum or bool(self._unknown and not self._skip)

    def _require_known(self, vocabulary: Vocabulary) -> None:
        listed = shown_symbols(self.unknown_symbols)
        if self._unknown and not self._skip:
            count = f"{len(self._unknown):,} distinct"
            raise UnknownSymbolsError(
                self._label,
                f"has {count} characters that the vocabulary lacks: {listed}",
                "use the text that the run was trained on",
            )
        if self.skipped == self.characters:
            raise CorpusError(
                self._label,
                f"has none of the {len(vocabulary):,} characters that the vocabulary knows",
                "use a text like the one that the run was trained on",
            )
