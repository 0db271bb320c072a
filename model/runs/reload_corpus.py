"""Reads the text again that a saved run was trained on. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable

from corpus import (
    Corpus,
    CorpusAccessError,
    CorpusError,
    CorpusOptions,
    DownloadError,
    Source,
    UserError,
    Vocabulary,
    builtin_texts,
    load_corpus,
    resolve_source,
)
from corpus.novelty import LARGEST_INDEXED
from model.errors import CheckpointError
from model.runs.corpus_record import CorpusRecord
from model.runs.folder import RunFolder

_MOST_BYTES = 8
"""Of a character in any encoding, with a carriage return and a mark before the first one."""


def find_own_text(specification: str, options: CorpusOptions, *, offline: bool) -> Source:
    """Returns the text that a saved run names, where nobody named one.

    Args:
        specification: what the run says of it.
        options: how it is read.
        offline: whether a text that would have to be downloaded is an error.

    Raises:
        CorpusError: it is gone; what the user can do is to name it.
    """
    try:
        return resolve_source(specification, offline=offline, options=options)
    except (CorpusAccessError, DownloadError):
        raise
    except CorpusError as error:
        if error.subject.startswith("--"):
            raise
        remedy = "name the text that the run goes on with, as CORPUS"
        raise CorpusError(error.subject, error.cause, remedy) from error


def path_of_a_moved_run(folder: RunFolder, source: CorpusRecord) -> str | None:
    """Returns the path that a run names as its text, unless it says it was begun in its folder.

    A run from elsewhere can name any file of this machine; one of an older version says nothing of
    its folder. None: the run was begun here, or its text is no file.
    """
    specification = source.specification
    try:
        begun_in = folder.description().get("folder")
    except CheckpointError:
        begun_in = None
    if specification == "-" or begun_in == os.path.realpath(folder.path):
        return None
    is_built_in = specification in {text.name for text in builtin_texts()}
    return None if is_built_in else specification


def read_own_text(
    source: CorpusRecord, vocabulary: Vocabulary, cancelled: Callable[[], bool]
) -> Corpus | str:
    """Returns the very text of a run, or a sentence that says why it is not to be had.

    The network is never used: nobody who opens a run has asked for a download.

    Args:
        source: what the run says of its text.
        vocabulary: of the run.
        cancelled: is asked while the text is read.

    Raises:
        corpus.LoadCancelled: ``cancelled`` said so.
    """
    if source.specification == "-":
        return "the run read its text from standard input"
    if source.characters > LARGEST_INDEXED:
        return f"{source.name}: the text is too long for it"
    options = CorpusOptions(encoding=source.encoding, lowercase=source.lowercase)
    try:
        found = resolve_source(source.specification, offline=True)
        sizes = [] if found.is_folder else [document.size for document in found.documents()]
        if sum(size or 0 for size in sizes) > source.characters * _MOST_BYTES + _MOST_BYTES:
            return f"{source.specification}: is not the text that the run was trained on any more"
        corpus = load_corpus(found, options, vocabulary=vocabulary, cancelled=cancelled)
    except UserError as error:
        return str(error)
    if corpus.sha256 != source.sha256:
        return f"{source.specification}: is not the text that the run was trained on any more"
    return corpus
