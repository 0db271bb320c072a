"""Writes a file under a free name, without overwriting any file."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from corpus.files.removal import remove_file

WRITTEN_FILES = re.compile(r".+-[A-Za-z0-9-]+-\d+\.(?:html|txt|svg|png|pdf)")
_LAST_NUMBER = 9_999
_MAX_STEM_CHARACTERS = 50
"""Maximum length of the stem: a character has up to 4 bytes, and names up to 255 bytes."""


def write_new_file(folder: Path, run: str, kind: str, content: bytes) -> Path:
    """Writes to the first free name ``<run>-<kind>``, with a number before the suffix if needed.

    Args:
        folder: an existing folder.
        run: an untrusted name; characters that are unsafe in file names are removed.
        kind: the kind of content with a suffix, such as ``text.txt``.
        content: the bytes to write.

    Returns:
        The path written.

    Raises:
        OSError: the file system refuses, or every number is taken. No partial file is left.
    """
    stem = re.sub(r"[^\w.-]+", "-", run)[:_MAX_STEM_CHARACTERS].strip("-.") or "charlm"
    word, _, suffix = kind.partition(".")
    for number in range(1, _LAST_NUMBER + 1):
        path = folder / f"{stem}-{word}-{number}.{suffix}"
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(content)
        except OSError as error:
            with contextlib.suppress(OSError):
                remove_file(path, WRITTEN_FILES)
            error.filename = error.filename or str(path)
            raise
        return path
    raise FileExistsError(f"{folder / stem}-{word}-1.{suffix} to -{_LAST_NUMBER} all exist")
