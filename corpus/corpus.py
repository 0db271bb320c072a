"""The values of a loaded text: ids, vocabulary and fingerprint; and the options of loading it.

Plain data; `load` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from corpus.vocabulary import Vocabulary

DOCUMENT_MARK = "\N{INFORMATION SEPARATOR TWO}"
"""ASCII's record separator. Screens show its symbol, one character wide. If a file contains this
character, it is read as a space, so that the mark is unique."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusOptions:
    """The way to read a text. The same options give the same ids from the same bytes."""

    encoding: str | None = None
    """A Python encoding name; None means the byte order mark's, or UTF-8 without a mark."""

    lowercase: bool = False
    """Whether upper-case letters are read as lower-case ones."""

    include: tuple[str, ...] = ()
    """Patterns of the files to read from a folder; none means all. See `folder`."""

    exclude: tuple[str, ...] = ()
    """Patterns of the files of a folder to leave out."""

    document_mark: str = DOCUMENT_MARK
    """The mark on a separate line between two files of a folder; empty means no line."""

    maximum_vocabulary: int = 16_384
    """Maximum number of distinct characters, because the output layer grows with it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """A text as ids, read-only."""

    name: str
    """Short, for display: a built-in name, a file's or folder's name, or `stdin`."""

    specification: str
    """The argument that finds the same text again: a built-in name, an absolute path, or `-`."""

    ids: NDArray[Any]
    """Shape (characters,), dtype `vocabulary.dtype`; a memory map if the text is large."""

    vocabulary: Vocabulary
    """The symbols that the ids stand for."""

    sha256: str
    """Hexadecimal digest of the decoded, normalised text in UTF-8, with any skipped characters."""

    notes: tuple[str, ...] = ()
    """Sentences for the user about changes to the text and its peculiarities."""

    skipped: int = 0
    """Number of characters left out because a given vocabulary lacks them."""

    def __len__(self) -> int:
        return len(self.ids)
