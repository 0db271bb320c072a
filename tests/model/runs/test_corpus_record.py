"""Where a run's text came from, remembered so that it is read the same way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus import CorpusOptions, load_corpus, resolve_source
from model.runs.corpus_record import CorpusRecord


def test_a_folder_is_read_the_same_way_again(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "b.txt"):
        (tmp_path / name).write_text(f"({name})\n")
    options = CorpusOptions(include=("*.py", "*.txt"), exclude=("a*",), lowercase=True)
    corpus = load_corpus(resolve_source(str(tmp_path), options=options), options)
    source = CorpusRecord.of(corpus, options)
    again = CorpusRecord.from_record(json.loads(json.dumps(source.to_record())))
    assert again == source
    assert again.options() == options
    assert again.options(encoding="latin-1").encoding == "latin-1"


def test_a_record_from_before_there_were_marks_means_none() -> None:
    record = {
        "name": "folder",
        "specification": "/folder",
        "sha256": "0" * 64,
        "characters": 5,
        "encoding": None,
        "lowercase": False,
    }
    source = CorpusRecord.from_record(record)
    assert (source.include, source.exclude, source.document_mark) == ((), (), "")
    assert source.options() == CorpusOptions(document_mark="")
    del record["encoding"]
    with pytest.raises(KeyError):
        CorpusRecord.from_record(record)
