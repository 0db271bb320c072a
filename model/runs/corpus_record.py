"""Where a run's text came from, so that a later session finds and reads it the same way."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
    require_encoding,
    resolve_source,
)
from corpus.files.json_values import odd, text, truth, whole
from corpus.novelty import LARGEST_INDEXED
from model.errors import CheckpointError
from model.runs.folder import RunFolder

_LATER = frozenset({"include", "exclude", "document_mark"})
"""Fields that older records lack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSource:
    """A text by its name, its fingerprint and the way it was read."""

    name: str
    specification: str
    """A built-in name, an absolute path, or ``-``."""
    sha256: str
    """Of the text as it was trained on: decoded, newlines normalised, perhaps lower-cased."""
    characters: int
    encoding: str | None
    lowercase: bool
    include: tuple[str, ...] = ()
    """Of a folder, the patterns of the files that were read; none: all."""
    exclude: tuple[str, ...] = ()
    document_mark: str = ""
    """What stood between the files of a folder; nothing did before there were marks."""

    @classmethod
    def of(cls, corpus: Corpus, options: CorpusOptions) -> CorpusSource:
        """Returns the source of a corpus that was read with ``options``."""
        return cls(
            name=corpus.name,
            specification=corpus.specification,
            sha256=corpus.sha256,
            characters=len(corpus),
            encoding=options.encoding,
            lowercase=options.lowercase,
            include=options.include,
            exclude=options.exclude,
            document_mark=options.document_mark,
        )

    def options(self, *, encoding: str | None = None) -> CorpusOptions:
        """Returns the way to read the same text again, perhaps in another encoding."""
        return CorpusOptions(
            encoding=encoding or self.encoding,
            lowercase=self.lowercase,
            include=self.include,
            exclude=self.exclude,
            document_mark=self.document_mark,
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CorpusSource:
        """Returns what ``to_record`` wrote.

        Raises:
            KeyError: a field is missing.
            ValueError: a value is of another type, or means nothing.
        """
        later = {name: record[name] for name in _LATER if name in record}
        if later and len(later) < len(_LATER):
            raise ValueError("corpus is not whole")
        encoding, mark = record["encoding"], text("document_mark", later.get("document_mark", ""))
        if len(mark) > 1:
            raise ValueError(odd("document_mark", mark))
        if not re.fullmatch(r"[0-9a-f]{64}", text("sha256", record["sha256"])):
            raise ValueError(odd("sha256", record["sha256"]))
        if encoding is not None:
            _require_encoding(text("encoding", encoding))
        return cls(
            name=text("name", record["name"]),
            specification=text("specification", record["specification"]),
            sha256=record["sha256"],
            characters=whole("characters", record["characters"]),
            encoding=encoding,
            lowercase=truth("lowercase", record["lowercase"]),
            include=_patterns("include", later.get("include", [])),
            exclude=_patterns("exclude", later.get("exclude", [])),
            document_mark=mark,
        )

    def to_record(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return dataclasses.asdict(self)


def _patterns(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(odd(name, value))  # noqa: TRY004 - one kind of error for all of this
    return tuple(text(name, item) for item in value)


def _require_encoding(name: str) -> None:
    try:
        require_encoding(name)
    except CorpusError as error:
        raise ValueError(odd("encoding", name)) from error


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


def path_of_a_moved_run(folder: RunFolder, source: CorpusSource) -> str | None:
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
    source: CorpusSource, vocabulary: Vocabulary, cancelled: Callable[[], bool]
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
