"""The files of a folder as documents, sorted by path, without hidden files.

Symbolic links to files are followed. Links to folders are not, so that there are no loops. Whether
a file is text is known only when it is read.

Patterns are those of a shell: `*` matches any characters, `?` one character, `[abc]` one of these.
A pattern without a slash is matched with the file's name. A pattern with a slash is matched with
the path relative to the folder, where `*` also matches slashes.
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
    folder: Path, folder_label: str, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Iterator[Document]:
    """Yields the regular files under `folder`, sorted part by part of their relative path.

    Args:
        folder: the folder to walk.
        folder_label: the name of the folder in messages.
        include: patterns of the files to read; none means all.
        exclude: patterns of the files to leave out.

    Raises:
        CorpusError: the folder is missing.
        CorpusAccessError: a folder may not be listed.
    """
    for path, status in _files(folder, folder_label):
        relative = path.relative_to(folder)
        if (include and not _fits(relative, include)) or _fits(relative, exclude):
            continue
        label = str(Path(folder_label) / relative)
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


def _files(folder: Path, folder_label: str) -> Iterator[tuple[Path, os.stat_result]]:
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        try:
            status = path.stat()
        except OSError:
            if path == folder:
                raise
            continue  # a dangling link, a loop, or a file that was just deleted
        if stat.S_ISREG(status.st_mode):
            yield path, status
        elif stat.S_ISDIR(status.st_mode) and (path == folder or not path.is_symlink()):
            try:
                names = [name for name in os.listdir(path) if not name.startswith(".")]  # noqa: PTH208
            except OSError as error:
                raise refusal(str(Path(folder_label) / path.relative_to(folder)), error) from None
            # A stack, so that the files of a folder come at the sorted place of its name.
            waiting.extend(path / name for name in sorted(names, reverse=True))
