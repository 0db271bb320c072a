"""A folder as documents: its files, sorted by their path, hidden ones left out.

Symbolic links to files are followed, those to folders are not, so no loop can be entered. Whether
a file is text is seen when it is read.

A pattern is a shell's: `*` stands for anything, `?` for one character, `[abc]` for one of these.
Without a slash it has to fit a file's name, with one the path from the folder on, in which `*`
stands for slashes, too.
"""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.document import Document, DocumentFile
from corpus.files.access import read_chunks, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def folder_documents(
    folder: Path, given: str, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Iterator[Document]:
    """Yields the regular files under `folder`, sorted part by part of their relative path.

    Args:
        folder: the folder to walk.
        given: how messages name it.
        include: only files that one of these patterns fits; none: all.
        exclude: no file that one of these patterns fits.

    Raises:
        CorpusError: it is gone; `CorpusAccessError` where a folder may not be listed.
    """
    for path, status in _files(folder, given):
        relative = path.relative_to(folder)
        if (include and not _fits(relative, include)) or _fits(relative, exclude):
            continue
        label = str(Path(given) / relative)
        yield Document(
            label=label,
            chunks=partial(read_chunks, path, label),
            size=status.st_size,
            optional=True,
            file=DocumentFile(path=path, status=status),
        )


def _fits(path: Path, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase(path.as_posix() if "/" in pattern else path.name, pattern)
        for pattern in patterns
    )


def _files(folder: Path, given: str) -> Iterator[tuple[Path, os.stat_result]]:
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        try:
            status = path.stat()
        except OSError:
            if path == folder:
                raise
            continue  # a dangling link, a loop, or a file that has just gone
        if stat.S_ISREG(status.st_mode):
            yield path, status
        elif stat.S_ISDIR(status.st_mode) and (path == folder or not path.is_symlink()):
            try:
                names = [name for name in os.listdir(path) if not name.startswith(".")]  # noqa: PTH208
            except OSError as error:
                raise refusal(str(Path(given) / path.relative_to(folder)), error) from None
            # A stack, so that each folder's files stand where its name is sorted.
            waiting.extend(path / name for name in sorted(names, reverse=True))
