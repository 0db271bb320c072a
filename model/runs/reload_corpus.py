"""Finds and reads the text that a saved run was trained on. No torch."""

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
    Split,
    UserError,
    builtin_texts,
    load_corpus,
    resolve_source,
)
from corpus.novelty import MAX_INDEXED_CHARACTERS
from model.data.division import split_of
from model.errors import CheckpointError
from model.runs.checkpoint import CheckpointMetadata
from model.runs.corpus_record import CorpusRecord
from model.runs.folder import RunFolder

_MAX_BYTES_PER_CHARACTER = 8
"""Maximum bytes of a character and a carriage return in any encoding. A byte order mark takes up to
one more character."""


def find_saved_text(specification: str, options: CorpusOptions, *, offline: bool) -> Source:
    """Finds the text that a saved run names, for a command without a CORPUS.

    Args:
        specification: a built-in name or a path, from the run's record.
        options: the way to read the text.
        offline: whether a text that would have to be downloaded is an error.

    Raises:
        CorpusError: the text is missing. The remedy is to name a text.
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
    """Returns the path of a run's text if the run may come from another place; otherwise None.

    A run from another machine can name any file of this machine, so the user is informed. A run of
    an older version does not record its folder. None also means that the text is not a file.
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


def parts_of(corpus: Corpus, metadata: CheckpointMetadata) -> Split:
    """Returns the parts of a run's text: those that it is trained on, and held out."""
    return split_of(corpus, metadata.training, [])


def reload_corpus(
    metadata: CheckpointMetadata, cancelled: Callable[[], bool]
) -> tuple[Corpus, Split] | str:
    """Returns exactly the text that a run was trained on, and its parts.

    The network is not used, because opening a run is not a request for a download.

    Args:
        metadata: of a checkpoint of the run.
        cancelled: is asked often while the text is read.

    Returns:
        The text and its parts, or a sentence that says why it cannot be read.

    Raises:
        corpus.LoadCancelled: ``cancelled`` returned true.
    """
    source = metadata.source
    if source.specification == "-":
        return "the run read its text from standard input"
    if source.characters > MAX_INDEXED_CHARACTERS:
        return f"{source.name}: the text is too long for it"
    options = source.options()
    try:
        resolved = resolve_source(source.specification, offline=True, options=options)
        sizes = [] if resolved.is_folder else [document.size for document in resolved.documents()]
        if sum(size or 0 for size in sizes) > (source.characters + 1) * _MAX_BYTES_PER_CHARACTER:
            return f"{source.specification}: is no longer the text that the run was trained on"
        corpus = load_corpus(resolved, options, vocabulary=metadata.vocabulary, cancelled=cancelled)
    except UserError as error:
        return str(error)
    if corpus.sha256 != source.sha256:
        return f"{source.specification}: is no longer the text that the run was trained on"
    return corpus, parts_of(corpus, metadata)
