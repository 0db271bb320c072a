"""The symbols of a text and their ids.

An id is a symbol's index in code point order. So two texts with the same symbols share ids,
independently of their order of appearance. `id_encoder` builds a vocabulary from a stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.errors import CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

SHOWN_SYMBOLS = 5
"""Number of symbols that a message lists before it counts the rest."""

CODE_POINTS = 0x110000
"""Size of a table with an entry for every Unicode code point."""


def smallest_dtype(symbols: int) -> np.dtype[Any]:
    """Returns the smallest unsigned dtype that holds the ids of `symbols` symbols."""
    return np.min_scalar_type(max(symbols - 1, 0))


def shown_symbols(symbols: Sequence[str]) -> str:
    """Lists the first few symbols as `U+00E9`, and counts the others."""
    listed = ", ".join(f"U+{ord(symbol):04X}" for symbol in symbols[:SHOWN_SYMBOLS])
    more = len(symbols) - SHOWN_SYMBOLS
    return f"{listed} and {more:,} more" if more > 0 else listed


def code_points(text: str) -> NDArray[np.unsignedinteger[Any]]:
    """Returns the code points of `text`, shape (characters,), uint8 for ASCII and uint32 else.

    Raises:
        UnicodeEncodeError: half a surrogate pair, which is no character.
    """
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The distinct characters of a text, each with an id from 0 in code point order."""

    symbols: tuple[str, ...]
    """One character each, in code point order; `"".join(symbols)` is what a checkpoint keeps."""

    _codes: NDArray[np.uint32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.symbols:
            raise ValueError("a vocabulary has at least one symbol")
        if any(len(symbol) != 1 or "\ud800" <= symbol <= "\udfff" for symbol in self.symbols):
            raise ValueError("a symbol is one Unicode character")
        codes = np.array([ord(symbol) for symbol in self.symbols], np.uint32)
        if (codes[1:] <= codes[:-1]).any():
            raise ValueError("symbols are distinct and in code point order")
        codes.flags.writeable = False
        object.__setattr__(self, "_codes", codes)

    @classmethod
    def from_symbols(cls, symbols: Iterable[str]) -> Vocabulary:
        """Builds the vocabulary of `symbols`, in any order and with repetitions (a text will do).

        Raises:
            ValueError: there is none, or one is not a Unicode character.
        """
        return cls(tuple(sorted(set(symbols))))

    def united_with(self, other: Vocabulary) -> Vocabulary:
        """Returns the vocabulary of all symbols that are in this one or in the other."""
        return self if self == other else Vocabulary.from_symbols((*self.symbols, *other.symbols))

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        if not isinstance(symbol, str) or len(symbol) != 1:
            return False
        place = int(np.searchsorted(self._codes, ord(symbol)))
        return place < len(self.symbols) and self.symbols[place] == symbol

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned dtype that holds every id."""
        return smallest_dtype(len(self.symbols))

    @property
    def codes(self) -> NDArray[np.uint32]:
        """The symbols as code points, shape (symbols,), read-only; a symbol's index is its id."""
        return self._codes

    def id_of(self, symbol: str) -> int:
        """Returns the id of one character.

        Raises:
            CorpusError: it is not in the vocabulary.
        """
        return int(self.encode(symbol)[0])

    def encode(self, text: str) -> NDArray[Any]:
        """Returns the ids of `text`, shape (characters,), of `dtype`.

        Raises:
            CorpusError: a character is not in the vocabulary; the first such one is named.
        """
        codes = np.array([ord(character) for character in text], np.uint32)
        places = np.searchsorted(self._codes, codes)
        places[places == len(self.symbols)] = 0
        unknown = np.flatnonzero(self._codes[places] != codes)
        if unknown.size:
            first = int(unknown[0])
            raise CorpusError(
                f"character {first + 1} of the text",
                f"U+{ord(text[first]):04X} is not in the vocabulary",
                "use characters of the text that the model learned",
            )
        return places.astype(self.dtype)

    def decode(self, ids: Sequence[int] | NDArray[np.integer[Any]]) -> str:
        """Returns the characters of `ids`, an array or sequence of shape (characters,).

        Raises:
            IndexError: an id is negative or not below the number of symbols.
        """
        places = np.asarray(ids, dtype=np.int64)
        if places.size and int(places.min()) < 0:
            raise IndexError("an id is not negative")
        return self._codes[places].astype("<u4").tobytes().decode("utf-32-le")
