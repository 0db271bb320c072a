"""The fingerprint of source files, which recognizes an encoded text without reading it whole.

A text counts as encoded before if the path, device, inode, size and both times of each file are
equal, and 64 samples of 4 kB over all the files too. The times are those of the last change of the
content (mtime) and of the entry (ctime); no ordinary program can set the second back. If anything
differs, the text is encoded again, and its SHA-256 decides which encoded text it is.

Two changes within one tick of the file system's clock look like one. Therefore a file must be two
seconds old before it is read. A file that changes meanwhile is not trusted.
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
"""Version of the stamps. Raise it when the same bytes would be read as other characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The fingerprint of files, from their status and samples, and of the way to read them."""

    key: str
    """Hexadecimal SHA-256 of the status, the samples and the options."""

    seconds_to_settle: float
    """Seconds until the newest file is old enough to be trusted; 0 or less if it is."""


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
    """Returns samples at even distances over the concatenated files, `SAMPLE_BYTES` each."""
    ends = list(accumulate(file.status.st_size for file in files))
    samples = []
    for place in np.linspace(0, max(0, ends[-1] - SAMPLE_BYTES), SAMPLES).astype(np.int64):
        which = int(np.searchsorted(ends, place, side="right"))
        start = int(place) - (ends[which - 1] if which else 0)
        with files[which].path.open("rb", buffering=0) as file:
            file.seek(start)
            samples.append(file.read(SAMPLE_BYTES))
    return samples
