"""Where a run's text came from, so that a later session finds and reads it the same way."""

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
"""Fields that older records lack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusRecord:
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
    def of(cls, corpus: Corpus, options: CorpusOptions) -> CorpusRecord:
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
    def from_record(cls, record: Mapping[str, Any]) -> CorpusRecord:
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
