"""Where a run's text came from, so that a later session finds and reads it the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpus import Corpus, CorpusOptions


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
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CorpusSource:
        """Returns what ``to_record`` wrote.

        Raises:
            KeyError: a field is missing.
        """
        return cls(**{field.name: record[field.name] for field in dataclasses.fields(cls)})

    def to_record(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return dataclasses.asdict(self)
