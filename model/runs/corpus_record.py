"""The record of a run's text, with which a later session finds and reads it in the same way."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpus import (
    Corpus,
    CorpusError,
    CorpusOptions,
    require_encoding,
)
from corpus.files.json_values import odd, text, truth, whole

_LATER = frozenset({"include", "exclude", "document_mark"})
"""Fields that records of older versions lack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusRecord:
    """The name of a text, its fingerprint, and the way it was read."""

    name: str
    specification: str
    """A built-in name, an absolute path, or ``-``."""
    sha256: str
    """Digest of the training text: decoded, with newlines normalised, perhaps in lower case."""
    characters: int
    encoding: str | None
    lowercase: bool
    include: tuple[str, ...] = ()
    """Patterns of the files of a folder that were read; none means all."""
    exclude: tuple[str, ...] = ()
    document_mark: str = ""
    """The mark between the files of a folder; empty in older records, which had no marks."""

    @classmethod
    def of(cls, corpus: Corpus, options: CorpusOptions) -> CorpusRecord:
        """Returns the record of a corpus that was read with ``options``."""
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
        """Returns the options to read the same text again, optionally in another encoding."""
        return CorpusOptions(
            encoding=encoding or self.encoding,
            lowercase=self.lowercase,
            include=self.include,
            exclude=self.exclude,
            document_mark=self.document_mark,
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CorpusRecord:
        """Returns what ``to_record`` wrote.

        Raises:
            KeyError: a field is missing.
            ValueError: a value has another type, or is invalid.
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
