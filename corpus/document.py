"""A document: one named run of bytes within a source.

It says where bytes come from and what is known of them beforehand, and does not look at them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFile:
    """The file that a document is read from, as it was found."""

    path: Path
    """Absolute."""

    status: os.stat_result
    """Of the file that the path led to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file of a folder, one built-in text, or all of standard input."""

    label: str
    """What an error message names: a path, or the name of a built-in text."""

    chunks: Callable[[], Iterator[bytes]]
    """Opens the document and yields its bytes; an empty chunk means "still waiting"."""

    size: int | None = None
    """Bytes, for the progress display only; None where it is not known before reading."""

    encoding: str | None = None
    """The encoding where the source knows it; it then goes before the user's choice."""

    optional: bool = False
    """Whether it may be left out, with a note, where it looks like something else than text."""

    file: DocumentFile | None = None
    """Where an encoded text can be known again without being read; None where it cannot."""
