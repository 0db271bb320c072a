"""A document: one named sequence of bytes within a source.

It describes where bytes come from and what is known before reading them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFile:
    """The file of a document, with its status when it was found."""

    path: Path
    """Absolute."""

    status: os.stat_result
    """Status of the file, with links followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file of a folder, one built-in text, or all of standard input."""

    label: str
    """The name in error messages: a path, or the name of a built-in text."""

    chunks: Callable[[], Iterator[bytes]]
    """Opens the document and yields its bytes; an empty chunk means that no bytes came yet."""

    size: int | None = None
    """Size in bytes, for the display of progress only; None if unknown before reading."""

    encoding: str | None = None
    """The encoding if the source knows it; it takes precedence over the user's choice."""

    optional: bool = False
    """Whether to leave the document out, with a note, if it does not look like text."""

    file: DocumentFile | None = None
    """The file, by which the cache recognises the text without reading it; None without one."""
