"""Cuts the beginning of a text into a file, on which the lesson trains to show over-fitting."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

from corpus import CorpusOptions, NotTextError, cache_folder, resolve_source
from corpus.decoding import decode_chunks
from corpus.files.cache_folder import cache_refusal
from model.runs.request import RunRequest
from model.runs.storage import write_atomically
from tui.lesson.excerpt_name import EXCERPT_CHARACTERS, EXCERPT_NAME

EXCERPT_PRESET: Final = "quick"
"""Large enough to learn the excerpt by heart within seconds."""
EXCERPT_MINUTES: Final = 1.0
VALIDATION_FRACTION: Final = 0.1


def excerpt_of(request: RunRequest) -> RunRequest:
    """Returns a short training on the first `EXCERPT_CHARACTERS` characters of a request's text.

    The excerpt becomes a file in the cache folder, so that the run can find it again.

    Raises:
        CorpusError: the text or the cache folder cannot be used.
    """
    data = "".join(islice(_characters(request), EXCERPT_CHARACTERS)).encode()
    # A folder for each text: a run of another text's excerpt keeps its own.
    folder = cache_folder() / "excerpts" / hashlib.sha256(data).hexdigest()[:16]
    path = folder / EXCERPT_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise cache_refusal(folder, error) from error
    training = dataclasses.replace(
        request.training,
        minutes=EXCERPT_MINUTES,
        epochs=None,
        validation_fraction=VALIDATION_FRACTION,
    )
    options = CorpusOptions(encoding="utf-8")
    return dataclasses.replace(request, corpus=str(path), corpus_options=options, training=training)


def _characters(request: RunRequest) -> Iterator[str]:
    """Yields the characters of the text, document after document."""
    options = request.corpus_options
    assert request.corpus is not None, "a new run has a text"
    source = resolve_source(request.corpus, offline=request.offline, options=options)
    for number, document in enumerate(source.documents()):
        if number:
            yield "\n"
        texts = decode_chunks(
            document.chunks(),
            label=document.label,
            encoding=document.encoding or options.encoding,
            lowercase=options.lowercase,
        )
        try:
            for text in texts:
                yield from text
        except NotTextError:
            if not document.optional:
                raise
