"""The novelty index against a search through the text itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import Vocabulary
from corpus.novelty import SPAN, Finding, NoveltyIndex, NoveltyTracker

TEXT = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age "
    "of foolishness, it was the epoch of belief. Don't we know it's so? "
) * 3


def index_of(text: str) -> NoveltyIndex:
    vocabulary = Vocabulary.from_symbols(text)
    return NoveltyIndex(vocabulary.encode(text), vocabulary)


def findings(index: NoveltyIndex, text: str) -> list[Finding]:
    tracker = NoveltyTracker(index)
    return [finding for character in text for finding in tracker.add(character)]


def copied_places(found: list[Finding]) -> set[int]:
    return {i for f in found if f.kind == "copied" for i in range(f.start, f.end)}


def really_copied(text: str, written: str) -> set[int]:
    places: set[int] = set()
    for start in range(len(written) - SPAN + 1):
        if written[start : start + SPAN] in text:
            places.update(range(start, start + SPAN))
    return places


@settings(deadline=None)
@given(
    text=st.text("ab \n", min_size=1, max_size=300),
    written=st.text("ab \nc", max_size=200),
    cut=st.integers(0, 250),
)
def test_copied_spans_are_those_that_a_search_finds(text: str, written: str, cut: int) -> None:
    written = written + text[cut : cut + 60] + written[:20]
    assert copied_places(findings(index_of(text), written)) == really_copied(text, written)


def test_a_long_copy_is_told_once_and_counted() -> None:
    tracker = NoveltyTracker(index_of(TEXT))
    written = "zz " + TEXT[10:60] + "!!"
    found = [f for character in written for f in tracker.add(character) if f.kind == "copied"]
    assert found[0] == Finding(kind="copied", start=3, end=33)
    assert [f.end - f.start for f in found[1:]] == [1] * 20
    assert tracker.copied == 50
    assert tracker.characters == len(written)


def test_new_words_are_found_when_they_end() -> None:
    found = findings(index_of(TEXT), "The eterned epoch, troveration' don't it's Wisdom x1 ")
    words = [(f.start, f.end) for f in found if f.kind == "new word"]
    text = "The eterned epoch, troveration' don't it's Wisdom x1 "
    assert [text[a:b] for a, b in words] == ["eterned", "troveration", "x"]


@settings(deadline=None)
@given(st.text("aB'’ \n1é²", max_size=200))  # noqa: RUF001
def test_every_word_of_the_text_is_known(text: str) -> None:
    kinds = {f.kind for f in findings(index_of(text + " "), text + " ")}
    assert "new word" not in kinds


def test_a_border_between_chunks_cuts_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpus.novelty._CHUNK", 13)
    index = index_of(TEXT)
    assert index.knows_word("foolishness")
    assert index.knows_word("don't")
    assert not index.knows_word("foolish")


def test_the_index_is_small() -> None:
    random = np.random.default_rng(0)
    text = " ".join("".join(chr(97 + i) for i in random.integers(0, 26, 5)) for _ in range(20_000))
    index = index_of(text)
    assert index.nbytes < 40 * len(text), "every word is another one here"
    assert index_of(TEXT * 100).nbytes < 13 * len(TEXT * 100)


@pytest.mark.parametrize("length", [0, 1, SPAN - 1, SPAN])
def test_a_short_text_is_indexed_too(length: int) -> None:
    text = TEXT[:length]
    vocabulary = Vocabulary.from_symbols(text or "a")
    index = NoveltyIndex(vocabulary.encode(text), vocabulary)
    assert len(copied_places(findings(index, TEXT[:SPAN]))) == (SPAN if length == SPAN else 0)
