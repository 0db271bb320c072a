"""Where a run's text came from, so that a later session finds and reads it the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpus import Corpus, CorpusOptions

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
        """
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value = record[field.name] if field.name not in _LATER else record.get(field.name)
            if value is not None or field.name not in _LATER:
                values[field.name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    def to_record(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return dataclasses.asdict(self)
