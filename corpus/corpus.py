"""What a loaded text is: ids, vocabulary and fingerprint; and the choices that it depends on.

Plain data. How it comes about is in `load`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from corpus.vocabulary import Vocabulary

DOCUMENT_MARK = "\N{INFORMATION SEPARATOR TWO}"
"""ASCII's own separator of records; screens show its picture, one character wide. In the files
themselves it is read as a space, so that it means nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusOptions:
    """How a text is read. The same options give the same ids from the same bytes."""

    encoding: str | None = None
    """A Python encoding name; None: a byte order mark decides, else UTF-8."""

    lowercase: bool = False
    """Whether upper-case letters are read as lower-case ones."""

    include: tuple[str, ...] = ()
    """Of a folder, only files that one of these patterns fits; none: all. See `folder`."""

    exclude: tuple[str, ...] = ()
    """Of a folder, no file that one of these patterns fits."""

    document_mark: str = DOCUMENT_MARK
    """What stands on a line of its own between two files of a folder; empty: nothing does."""

    maximum_vocabulary: int = 16_384
    """Distinct characters from which on a text is refused: the output layer grows with them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """A text as ids, read-only."""

    name: str
    """Short, for display: a built-in name, a file's or folder's name, or `stdin`."""

    specification: str
    """What finds the same text again: a built-in name, an absolute path, or `-`."""

    ids: NDArray[Any]
    """Shape (characters,), dtype `vocabulary.dtype`; a memory map where the text is large."""

    vocabulary: Vocabulary
    """The symbols that the ids stand for."""

    sha256: str
    """Hexadecimal digest of the decoded, normalised text in UTF-8, with any skipped characters."""

    notes: tuple[str, ...] = ()
    """What was done to the text or is odd about it, one sentence each, for the person."""

    skipped: int = 0
    """Characters left out because a given vocabulary lacks them."""

    def __len__(self) -> int:
        return len(self.ids)
