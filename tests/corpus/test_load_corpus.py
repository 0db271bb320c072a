"""From a source to ids."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import (
    CorpusError,
    CorpusOptions,
    Document,
    LoadCancelled,
    Source,
    Vocabulary,
    load_corpus,
    resolve_source,
)
from corpus.id_encoder import IdEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the texts of ../shared/data are not on this machine"
)


def source_of(*documents: bytes, chunk: int = 1 << 20, optional: bool = False) -> Source:
    def opened(data: bytes, label: str) -> Document:
        pieces = [data[start : start + chunk] for start in range(0, len(data), chunk)]
        return Document(label=label, chunks=lambda: iter(pieces), size=len(data), optional=optional)

    return Source(
        name="some",
        specification="/some",
        description="",
        label="some",
        documents=lambda: (opened(data, f"some/{i}") for i, data in enumerate(documents)),
    )


def text_of(*documents: bytes, options: CorpusOptions | None = None) -> str:
    corpus = load_corpus(source_of(*documents), options or CorpusOptions())
    return corpus.vocabulary.decode(corpus.ids)


@needs_shared
def test_the_classic_text_has_the_known_figures() -> None:
    source = resolve_source(str(SHARED / "nietzsche.txt"))
    corpus = load_corpus(source, CorpusOptions())
    assert (len(corpus), len(corpus.vocabulary)) == (600_893, 84)
    assert corpus.sha256 == "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647"
    assert len(load_corpus(source, CorpusOptions(lowercase=True)).vocabulary) == 57
    assert len(load_corpus(source, CorpusOptions(encoding="cp1252"))) == 600_901
    assert corpus.notes == ()


@needs_shared
def test_the_other_text_has_the_known_figures() -> None:
    source = resolve_source(str(SHARED / "tinyshakespeare.txt"))
    corpus = load_corpus(source, CorpusOptions())
    assert (len(corpus), len(corpus.vocabulary)) == (1_115_394, 65)
    assert len(load_corpus(source, CorpusOptions(lowercase=True)).vocabulary) == 39


@given(
    text=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"), min_size=1
    ),
    chunk=st.integers(1, 50),
)
def test_the_ids_spell_the_text_at_any_chunk_size(text: str, chunk: int) -> None:
    text = "# " + text
    corpus = load_corpus(source_of(text.encode(), chunk=chunk), CorpusOptions())
    assert corpus.vocabulary == Vocabulary.from_symbols(text)
    assert corpus.vocabulary.decode(corpus.ids) == text
    assert corpus.ids.dtype == corpus.vocabulary.dtype
    assert corpus.sha256 == hashlib.sha256(text.encode()).hexdigest()


def encoder(vocabulary: Vocabulary | None = None, *, in_memory: int = 100) -> IdEncoder:
    return IdEncoder(
        "text",
        vocabulary=vocabulary,
        unknown="skip",
        maximum_vocabulary=1 << 21,
        max_ids_in_memory=in_memory,
    )


@pytest.mark.parametrize("in_memory", [0, 100, 1 << 20])
@pytest.mark.parametrize("symbols", [200, 300, 70_000])
def test_large_and_small_texts_take_the_same_way(
    in_memory: int, symbols: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "cache"))
    text = "".join(map(chr, range(0x10000 + symbols, 0x10000, -1))) + "the end"
    under_test = encoder(in_memory=in_memory)
    for start in range(0, len(text), 77):
        under_test.add(text[start : start + 77])
    list(under_test.finish())
    ids, vocabulary = under_test.result()
    under_test.close()
    assert isinstance(ids, np.memmap) == (len(text) > in_memory)
    assert vocabulary.decode(ids) == text
    assert ids.dtype == vocabulary.dtype
    assert not ids.flags.writeable
    assert not list(tmp_path.rglob("*.*"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_made_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "file" / "cache"))
    under_test = encoder(in_memory=0)
    under_test.add("text")
    list(under_test.finish())
    assert len(under_test.result()[0]) == 4
    under_test.close()


def test_documents_are_joined_on_a_line_of_their_own() -> None:
    assert text_of(b"one", b"two\n", b"", b"three", b"") == "one\ntwo\nthree"


def test_a_document_that_is_no_text_is_left_out_only_where_that_is_allowed() -> None:
    picture = b"\x89PNG\r\n\x1a\n" + b"\0" * 50
    corpus = load_corpus(source_of(b"text", picture, picture, optional=True), CorpusOptions())
    assert len(corpus) == 4
    assert corpus.notes == ("2 files: skipped, not text",)
    with pytest.raises(CorpusError, match="some/1: is a PNG picture"):
        load_corpus(source_of(b"text", picture), CorpusOptions())
    with pytest.raises(CorpusError, match="some: holds no text file"):
        load_corpus(source_of(picture, optional=True), CorpusOptions())


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (b"a", "1 distinct character: the loss will be 0"),
        (b"zzzzzzzz", "1 distinct character: the loss will be 0"),
        (b"\n \n\t\n", "nothing but white space"),
        (b"\xef\xbb\xbfab", "byte order mark dropped, read as UTF-8"),
    ],
)
def test_an_odd_text_is_read_with_a_note(text: bytes, note: str) -> None:
    assert load_corpus(source_of(text), CorpusOptions()).notes == (note,)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_a_text_without_characters_is_refused(data: bytes) -> None:
    with pytest.raises(CorpusError, match="some: is empty"):
        load_corpus(source_of(data), CorpusOptions())


def test_too_many_symbols_are_refused_with_both_numbers() -> None:
    data = "".join(map(chr, range(0x4E00, 0x4E00 + 101))).encode()
    assert len(load_corpus(source_of(data), CorpusOptions(maximum_vocabulary=101))) == 101
    with pytest.raises(CorpusError, match="101 distinct characters, more than 100;"):
        load_corpus(source_of(data, chunk=10), CorpusOptions(maximum_vocabulary=100))


def test_every_character_of_unicode_at_once_is_refused_by_default() -> None:
    everything = [*range(1, 0xD800), *range(0xE000, 0x110000)]
    data = np.array(everything, "<u4").tobytes().decode("utf-32-le").encode()
    with pytest.raises(CorpusError, match="1,112,062 distinct characters, more than 16384"):
        load_corpus(source_of(data), CorpusOptions())


def test_a_given_vocabulary_keeps_its_ids() -> None:
    vocabulary = Vocabulary.from_symbols("xyzabc")
    corpus = load_corpus(source_of(b"cab"), CorpusOptions(), vocabulary=vocabulary)
    assert corpus.vocabulary is vocabulary
    assert corpus.ids.tolist() == [2, 0, 1]


def test_unknown_characters_are_refused_by_their_numbers_or_skipped_by_choice() -> None:
    vocabulary = Vocabulary.from_symbols("abc")
    source = source_of("a1b2c3é4567".encode(), chunk=2)
    with pytest.raises(CorpusError, match=r"8 distinct .*: U\+0031, .* and 3 more"):
        load_corpus(source, CorpusOptions(), vocabulary=vocabulary)
    corpus = load_corpus(source, CorpusOptions(), vocabulary=vocabulary, unknown="skip")
    assert vocabulary.decode(corpus.ids) == "abc"
    assert corpus.skipped == 8
    assert "8 characters that the vocabulary lacks were skipped" in corpus.notes[0]
    with pytest.raises(CorpusError, match="none of the 3 characters"):
        load_corpus(source_of(b"xyz"), CorpusOptions(), vocabulary=vocabulary, unknown="skip")


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(CorpusError, match="half a surrogate pair"):
        load_corpus(source_of(b"a\\ud800"), CorpusOptions(encoding="unicode_escape"))


def test_progress_goes_to_one_and_never_back() -> None:
    seen: list[float | None] = []
    load_corpus(source_of(b"x" * 1000, chunk=10), CorpusOptions(), progress=seen.append)
    fractions = [fraction for fraction in seen if fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(set(fractions)) == 100


@pytest.mark.parametrize("calls", [0, 1, 3, 60])
def test_a_load_stops_when_asked_and_leaves_nothing(
    calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path))
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > calls

    with pytest.raises(LoadCancelled):
        load_corpus(source_of(b"x" * 1000, chunk=10), CorpusOptions(), cancelled=cancelled)
    assert len(asked) == calls + 1
    assert not list(tmp_path.iterdir())


def test_a_stopped_load_closes_its_document_at_once() -> None:
    closed = []

    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield b""
        finally:
            closed.append(1)

    source = replace(
        source_of(), documents=lambda: iter([Document(label="endless", chunks=chunks)])
    )
    answers = iter([False] * 9)
    with pytest.raises(LoadCancelled) as caught:
        load_corpus(source, CorpusOptions(), cancelled=lambda: next(answers, True))
    # The traceback in `caught` keeps the frames, so only a deliberate close can have done it.
    assert caught.tb is not None
    assert closed == [1]


def test_the_file_may_change_while_and_after_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"a" * (3 << 20))
    cut: list[int] = []

    def cut_short(_fraction: float | None) -> None:
        if not cut:
            os.truncate(path, 1 << 20)
            cut.append(1)

    corpus = load_corpus(resolve_source(str(path)), CorpusOptions(), progress=cut_short)
    assert len(corpus) == 1 << 20
    path.unlink()
    assert int(corpus.ids.max()) == 0


def test_a_file_that_grows_while_it_is_read_ends(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * 100)

    def grow(_fraction: float | None) -> None:
        with path.open("ab") as file:
            file.write(b"b" * 100)

    assert len(load_corpus(resolve_source(str(path)), CorpusOptions(), progress=grow)) == 100


def test_the_user_is_told_of_a_wrong_encoding_before_anything_is_read() -> None:
    with pytest.raises(CorpusError, match="--encoding: unknown encoding 'klingon'"):
        load_corpus(source_of(), CorpusOptions(encoding="klingon"))
