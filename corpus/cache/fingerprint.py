"""Knowing files again without reading them whole: what the second start of a big text relies on.

What is trusted. A text is taken for the one that was encoded before if the paths, devices, inodes,
sizes, and both times (of the content's last change, and of the entry's, which no ordinary program
can set back) of all its files are the same, and so are 64 samples of 4 kB, spread over the whole.
It is encoded again if any of that differs; then its content decides which encoded text it is. A
file is left alone for two seconds before it is read, and one that changes meanwhile is not trusted
at all: a second change within the same tick of the file system's clock would not show.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.corpus import CorpusOptions
    from corpus.document import Document, DocumentFile

SAMPLES = 64
SAMPLE_BYTES = 4096
SECONDS_TO_SETTLE = 2.0
_FORMAT = 1
"""Of stamps; to be raised whenever the same bytes would be read as other characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The fingerprint of files, from their status and samples, and of the way to read them."""

    key: str
    """Hexadecimal digest of all of it."""

    seconds_to_settle: float
    """Seconds until all files have been unchanged for long enough; 0 or less: they have been."""


def stamp_of(
    documents: Sequence[Document], options: CorpusOptions, document_mark: str
) -> Stamp | None:
    """Returns the stamp of a text; None if a document is not a file, or is missing."""
    files = [document.file for document in documents if document.file is not None]
    if len(files) != len(documents) or not files:
        return None
    digest = hashlib.sha256()
    way = [_FORMAT, options.encoding, options.lowercase, document_mark]
    digest.update(json.dumps(way).encode())
    newest = 0
    try:
        for file in files:
            status = file.path.stat()
            digest.update(json.dumps([os.fsdecode(file.path), *_identity(status)]).encode())
            newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
        for sample in _samples(files):
            digest.update(sample)
    except OSError:
        return None
    age = time.time() - newest / 1e9
    return Stamp(key=digest.hexdigest(), seconds_to_settle=SECONDS_TO_SETTLE - age)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)


def _samples(files: Sequence[DocumentFile]) -> list[bytes]:
    """Returns bytes from places at even distances over the files put end to end."""
    ends = list(accumulate(file.status.st_size for file in files))
    found = []
    for place in np.linspace(0, max(0, ends[-1] - SAMPLE_BYTES), SAMPLES).astype(np.int64):
        which = int(np.searchsorted(ends, place, side="right"))
        start = int(place) - (ends[which - 1] if which else 0)
        with files[which].path.open("rb", buffering=0) as file:
            file.seek(start)
            found.append(file.read(SAMPLE_BYTES))
    return found
