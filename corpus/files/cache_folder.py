"""The folder for files that can be made again: the downloaded text, the ids of a large text.

This module knows the folder's place and describes its failures. It does not know its contents.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from corpus.errors import CorpusAccessError, CorpusError
from corpus.files.access import refusal
from corpus.files.places import NAME, expand_home, private_folder


def cache_folder() -> Path:
    """Returns the cache folder, which may not exist yet: `$CHARLM_CACHE` or the user's default.

    If the home folder is not known, it is a temporary folder of this user.

    Raises:
        CorpusError: `$CHARLM_CACHE` begins with `~`, and the home folder is not known.
        CorpusAccessError: the temporary folder cannot be trusted or made.
    """
    chosen = os.environ.get("CHARLM_CACHE", "")
    if chosen:
        return Path(expand_home(chosen)).absolute()
    try:
        return Path(platformdirs.user_cache_dir(NAME, appauthor=False))
    except RuntimeError:
        return private_folder()


def cache_folders(*, usual: bool) -> Iterator[Path]:
    """Yields the usable folders for files that can be made again, the best one first.

    Args:
        usual: whether to include the cache folder, not only a temporary folder of this user.
    """
    with contextlib.suppress(CorpusError):
        if usual:
            yield cache_folder()
    with contextlib.suppress(CorpusError):
        yield private_folder()


def cache_refusal(folder: Path, error: OSError) -> CorpusAccessError:
    """Returns an error that states in one line why the cache cannot be used."""
    remedy = "free space there, or set $CHARLM_CACHE to another folder"
    return CorpusAccessError(str(folder), refusal(str(folder), error).cause, remedy)
