"""Large texts: encoded once, found again, checked whenever they are used, and cleared away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patience import PATIENCE

import corpus.cache.fingerprint
import corpus.id_encoder
import corpus.load
from corpus import (
    Corpus,
    CorpusError,
    CorpusOptions,
    LoadCancelled,
    Vocabulary,
    cached_texts,
    clear_texts,
    load_corpus,
    loading,
    release_pages,
    resolve_source,
)

TEXT = "".join(f"{number} green bottles, hanging on the wall\r\n" for number in range(400, 0, -1))
LARGE_FROM = 1000
"""Characters from which on these tests' texts go into files."""


@pytest.fixture(autouse=True)
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes small texts count as large ones that were written long ago; returns the cache's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CHARLM_CACHE_LIMIT", raising=False)
    monkeypatch.setattr(corpus.load, "MAX_IDS_IN_MEMORY", LARGE_FROM)
    monkeypatch.setattr(corpus.cache.fingerprint, "SECONDS_TO_SETTLE", -60.0)
    Path("text").write_text(TEXT, newline="")
    return tmp_path / "cache" / "texts"


def read(
    name: str = "text", vocabulary: Vocabulary | None = None, **options: bool
) -> tuple[Corpus, bool]:
    """Returns a text and whether it came out of the cache."""
    work = loading(
        resolve_source(name),
        CorpusOptions(**options),  # type: ignore[arg-type]
        vocabulary=vocabulary,
        unknown="skip",
    )
    stages = set()
    while True:
        try:
            stages.add(next(work).stage)
        except StopIteration as end:
            return end.value, "encoding the text" not in stages


def spelt(text: Corpus) -> str:
    return text.vocabulary.decode(text.ids)


def kept(texts: Path) -> list[str]:
    return sorted(path.name for path in texts.iterdir() if path.suffix == ".ids")


def test_a_text_is_encoded_once_and_is_the_same_afterwards(texts: Path) -> None:
    Path("text").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    (first, cached), (again, cached_again) = read(), read()
    assert (cached, cached_again) == (False, True)
    assert spelt(first) == spelt(again) == TEXT.replace("\r\n", "\n")
    assert first.sha256 == again.sha256
    assert first.vocabulary == again.vocabulary
    assert first.notes == again.notes == ("byte order mark dropped, read as UTF-8",)
    assert again.ids.dtype == np.uint8
    assert isinstance(again.ids, np.memmap)
    assert not again.ids.flags.writeable
    assert kept(texts) == [f"{first.sha256}.ids"]


def test_a_small_text_is_not_kept(texts: Path) -> None:
    Path("text").write_text(TEXT[:LARGE_FROM])
    assert [read()[1], read()[1]] == [False, False]
    assert not texts.exists()


def test_another_way_of_reading_is_another_text(texts: Path) -> None:
    assert [read()[1], read(lowercase=True)[1]] == [False, False]
    Path("text").write_text(TEXT.lower().upper())
    assert [read()[1], read(lowercase=True)[1], read()[1]] == [False, False, True]


def test_a_change_that_hides_its_time_is_noticed() -> None:
    read()
    before = Path("text").stat()
    with Path("text").open("r+b") as file:
        file.seek(7000)
        file.write(b"GREEN")
    os.utime("text", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Path("text").stat().st_size == before.st_size
    changed, cached = read()
    assert not cached
    assert "GREEN" in spelt(changed)


def test_a_file_that_has_just_been_written_is_not_trusted(
    texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus.cache.fingerprint, "SECONDS_TO_SETTLE", 3600.0)
    assert [read()[1], read()[1]] == [False, False]
    assert not texts.exists()


def test_a_file_that_has_just_been_written_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus.cache.fingerprint, "SECONDS_TO_SETTLE", 0.4)
    Path("text").write_text(TEXT + "more")
    assert not read()[1]
    assert read()[1]


def test_a_file_that_changes_while_it_is_read_is_not_kept(texts: Path) -> None:
    work = loading(resolve_source("text"), CorpusOptions())
    assert next(work).stage == "encoding the text"
    Path("text").write_text("something else", newline="")
    for _ in work:
        pass
    assert not texts.exists()


def test_the_same_text_in_two_files_is_kept_once(texts: Path) -> None:
    Path("copy").write_text(TEXT, newline="")
    assert [read("text")[1], read("copy")[1]] == [False, False]
    assert len(kept(texts)) == 1
    assert [read("text")[1], read("copy")[1]] == [True, True]


def test_the_vocabulary_of_a_run_is_served_where_it_is_the_text_s_own() -> None:
    own = read()[0].vocabulary
    assert read(vocabulary=own)[1]
    wider = Vocabulary.from_symbols((*own.symbols, "é"))
    other, cached = read(vocabulary=wider)
    assert not cached
    assert spelt(other) == TEXT.replace("\r\n", "\n")
    clear_texts()
    read(vocabulary=wider)
    assert not read()[1]
    clear_texts()
    read(vocabulary=own)
    assert read()[1]


def flipped(data: bytes, bit: int) -> bytes:
    """Returns the data with one bit turned over."""
    found = bytearray(data)
    found[bit // 8] ^= 1 << bit % 8
    return bytes(found)


@pytest.mark.parametrize("suffix", [".ids", ".json"])
def test_a_flipped_bit_anywhere_in_an_entry_or_its_record_does_no_harm(
    suffix: str, texts: Path, monkeypatch: pytest.MonkeyPatch, figure: Callable[[str], None]
) -> None:
    """A promise of the break-in whose test flipped no bit: the text is the same afterwards."""
    whole = read()[0]
    ids, record = texts / f"{whole.sha256}.ids", next(texts.glob("*.json"))
    path = {".ids": ids, ".json": record}[suffix]
    entry, data = {ids: ids.read_bytes(), record: record.read_bytes()}, path.read_bytes()
    random = np.random.default_rng(7)
    ends = [*range(0, 64, 3), *range(8 * len(data) - 512, 8 * len(data), 5)]
    bits = sorted({*ends, *random.integers(8 * len(data), size=80).tolist()})
    noticed = 0
    for bit in bits:
        for name, content in entry.items():
            name.write_bytes(content)
        path.write_bytes(flipped(data, bit))
        again, cached = read()
        noticed += not cached
        assert spelt(again) == TEXT.replace("\r\n", "\n"), bit
        assert again.sha256 == whole.sha256, bit
        assert again.vocabulary == whole.vocabulary, bit
        assert read()[1], bit
    assert noticed == len(bits) if suffix == ".ids" else noticed > 0
    figure(f"cache of texts: {len(bits)} bits of {suffix} flipped, {noticed} noticed, 0 harmful")


@pytest.mark.parametrize("size", [0, 1, 40, 5000, -1, -8])
def test_a_file_cut_short_is_noticed_and_the_text_made_anew(texts: Path, size: int) -> None:
    whole = spelt(read()[0])
    path = texts / kept(texts)[0]
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)
    again, cached = read()
    assert not cached
    assert spelt(again) == whole
    assert read()[1]


def test_a_file_that_grew_or_is_another_one_is_noticed(texts: Path) -> None:
    read()
    path = texts / kept(texts)[0]
    with path.open("ab") as file:
        file.write(b"more")
    assert not read()[1]
    Path("other").write_text(TEXT * 2)
    read("other")
    other = next(name for name in kept(texts) if name != path.name)
    path.write_bytes((texts / other).read_bytes())
    assert spelt(read()[0]) == TEXT.replace("\r\n", "\n")
    next(texts.glob("*.json")).write_text("{")
    assert {read()[1], read("other")[1]} == {True, False}


@pytest.mark.parametrize("symbols", [256, 257])
def test_ids_get_wider_where_the_last_chunk_asks_for_it(texts: Path, symbols: int) -> None:
    text = "".join(map(chr, range(0x400, 0x400 + symbols - 1))) * 20 + "x" * 3000
    Path("text").write_text(text.replace("x", chr(0x400)) + "\U0001f600")
    again = [read()[0] for _ in range(2)][1]
    assert again.ids.dtype == (np.uint8 if symbols == 256 else np.uint16)
    assert len(again.vocabulary) == symbols
    assert spelt(again)[-1] == "\U0001f600"
    assert len(spelt(again)) == len(text) + 1


def test_what_was_used_least_recently_makes_room(
    texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("abc"):
        Path(name).write_text(f"{name}\n" * 2000)
        if name != "c":
            path = texts / f"{read(name)[0].sha256}.ids"
            os.utime(path, (number, number))
    assert read("a")[1]  # used last, now
    monkeypatch.setenv("CHARLM_CACHE_LIMIT", "9K")
    assert not read("c")[1]
    assert {text.name for text in cached_texts()} == {"a", "c"}
    assert len(list(texts.iterdir())) == 4
    assert [read("a")[1], read("c")[1], read("b")[1]] == [True, True, False]


def test_a_text_larger_than_the_limit_is_read_without_a_cache(
    texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_CACHE_LIMIT", "0")
    assert [read()[1], read()[1]] == [False, False]
    assert not texts.exists()


@pytest.mark.parametrize("limit", ["many", "-1", "5 parsecs"])
def test_a_limit_that_is_no_size_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARLM_CACHE_LIMIT", limit)
    with pytest.raises(
        CorpusError, match=r"\$CHARLM_CACHE_LIMIT: .* is not a size; give one such as"
    ):
        read()


def test_clearing_frees_what_it_says_and_takes_nothing_from_whoever_reads(texts: Path) -> None:
    read()
    text, cached = read()
    assert cached
    used = sum(path.stat().st_size for path in texts.iterdir())
    assert [(entry.name, entry.characters) for entry in cached_texts()] == [("text", len(text))]
    assert clear_texts() == used > len(text)
    assert not list(texts.iterdir())
    assert clear_texts() == 0
    assert spelt(text) == TEXT.replace("\r\n", "\n")
    assert not read()[1]


def test_a_text_that_goes_away_while_it_is_used_stays_readable() -> None:
    fresh, cached = read()[0], read()[0]
    os.truncate("text", 10)
    assert spelt(fresh) == spelt(cached) == TEXT.replace("\r\n", "\n")
    Path("text").unlink()
    release_pages(fresh.ids)
    release_pages(cached.ids)
    assert spelt(fresh) == spelt(cached) == TEXT.replace("\r\n", "\n")


def test_a_cache_that_cannot_be_made_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("in the way")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "file" / "cache"))
    assert [read()[1], read()[1]] == [False, False]
    Path("place").mkdir()
    Path("place/texts").write_text("in the way")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "place"))
    assert [read()[1], read()[1]] == [False, False]
    assert list(Path("place").iterdir()) == [Path("place/texts")]


def test_where_a_file_cannot_be_given_a_name_it_is_copied(
    texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert [read()[1], read()[1]] == [False, True]
    assert len(list(texts.iterdir())) == 2
    assert list(texts.parent.iterdir()) == [texts]


@pytest.mark.parametrize("cached", [False, True])
def test_a_load_can_be_given_up_at_every_step_and_leaves_nothing(
    texts: Path, *, cached: bool
) -> None:
    if cached:
        read()
    before = set(texts.iterdir()) if cached else set()
    steps = 0
    while True:
        asked: list[int] = []

        def cancelled(asked: list[int] = asked, steps: int = steps) -> bool:
            asked.append(1)
            return len(asked) > steps

        try:
            load_corpus(resolve_source("text"), CorpusOptions(), cancelled=cancelled)
        except LoadCancelled:
            found = set(texts.iterdir()) if texts.exists() else set()
            assert found == before
            assert not [path for path in texts.parent.glob("*") if path != texts]
            steps += 1
        else:
            break
    assert steps > 2


def test_closing_a_load_leaves_nothing(texts: Path) -> None:
    work = loading(resolve_source("text"), CorpusOptions())
    next(work)
    work.close()
    assert not [path for path in texts.parent.rglob("*") if path.is_file()]


WORKER = """
import sys, corpus.load, corpus.cache.fingerprint
corpus.load.MAX_IDS_IN_MEMORY, corpus.cache.fingerprint.SECONDS_TO_SETTLE = 1000, -60.0
from corpus import *
print("ready", flush=True)
sys.stdin.readline()
text = load_corpus(resolve_source("text"), CorpusOptions())
print(text.sha256, len(text), type(text.ids).__name__)
"""


def worker() -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def test_two_processes_may_encode_the_same_text_at_once(texts: Path) -> None:
    Path("text").write_text(TEXT * 300, newline="")
    workers = [worker() for _ in range(2)]
    for process in workers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    found = {process.communicate("\n", timeout=PATIENCE)[0] for process in workers}
    text, cached = read()
    assert cached
    assert found == {f"{text.sha256} {len(text)} memmap\n"}
    assert len(kept(texts)) == 1
    assert len(list(texts.iterdir())) == 2


def test_a_process_that_is_killed_leaves_nothing(texts: Path) -> None:
    code = WORKER.replace('resolve_source("text")', 'resolve_source("-")')
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    # More than a pipe holds: when all of it is written, most of it was read and encoded.
    process.stdin.write(b"\n" + TEXT.encode() * 200)
    process.stdin.flush()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert not [path for path in texts.parent.rglob("*") if path.is_file()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    text=st.text(st.sampled_from("aB\r\n ΣσςİǅéÉ\U0001f600\U00010400\x1e\u2028"), min_size=1),
    chunk=st.integers(1, 9),
    piece=st.integers(1, 9),
    in_memory=st.integers(0, 30),
    lowercase=st.booleans(),
)
def test_no_border_between_chunks_or_pieces_changes_the_ids(
    text: str, chunk: int, piece: int, in_memory: int, *, lowercase: bool
) -> None:
    text = "no signature " + text
    Path("text").write_text(text, newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("corpus.files.access.CHUNK_BYTES", chunk)
        patch.setattr(corpus.id_encoder, "CHARACTERS_PER_PIECE", piece)
        patch.setattr(corpus.load, "MAX_IDS_IN_MEMORY", in_memory)
        first = read(lowercase=lowercase)[0]
        again = read(lowercase=lowercase)[0]
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    if lowercase:
        whole = "".join(map(str.lower, whole))
    assert spelt(first) == spelt(again) == whole
    assert first.vocabulary == again.vocabulary == Vocabulary.from_symbols(whole)
    assert first.sha256 == again.sha256
