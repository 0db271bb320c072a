"""The texts that come with a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import DEFAULT_TEXT, CorpusOptions, builtin_texts, load_corpus, resolve_source

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path))
    return tmp_path


def test_the_default_text_is_there_and_has_the_size_it_claims() -> None:
    first = builtin_texts()[0]
    assert (first.name, first.present) == (DEFAULT_TEXT, True)
    corpus = load_corpus(resolve_source(DEFAULT_TEXT), CorpusOptions())
    assert len(corpus) == first.characters
    assert 100_000 < len(corpus) < 400_000


def test_the_default_text_is_the_prose_of_the_whole_reference() -> None:
    prose, reference = (
        load_corpus(resolve_source(name), CorpusOptions()) for name in (DEFAULT_TEXT, "python-docs")
    )
    assert 400_000 < len(reference) < 800_000
    whole, part = (c.vocabulary.decode(c.ids) for c in (reference, prose))
    assert "+----" in whole
    assert "::=" in whole or ">>>" in whole
    for sign in ("+----", "::=", ">>>", "====", "|"):
        assert sign not in part
    assert part.count("__") * 500 < len(part)


def test_the_source_of_python_is_the_same_text_twice() -> None:
    corpus = load_corpus(resolve_source("python-source"), CorpusOptions())
    assert corpus.sha256 == load_corpus(resolve_source("python-source"), CorpusOptions()).sha256
    assert len(corpus) > 3_000_000
    text = corpus.vocabulary.decode(corpus.ids[:100_000])
    assert "import " in text


def test_a_download_is_present_once_it_is_in_the_cache(cache: Path) -> None:
    by_name = {text.name: text for text in builtin_texts()}
    assert not by_name["nietzsche"].present
    assert by_name["nietzsche"].source.startswith("https://")
    if not SHARED.is_dir():
        pytest.skip("the texts of ../shared/data are not on this machine")
    (cache / "nietzsche.txt").write_bytes((SHARED / "nietzsche.txt").read_bytes())
    assert {text.name: text.present for text in builtin_texts()}["nietzsche"]
    corpus = load_corpus(resolve_source("nietzsche", offline=True), CorpusOptions())
    assert len(corpus) == by_name["nietzsche"].characters
