"""Texts that cannot be used, or only just: what each is answered, through the command line.

The rows are numbered C1 to C53. A text that is refused leaves one line (path, cause, remedy), its
status, and no folder of a run; one that is accepted is loaded by ``evaluate``, which reads any
text, or trained for a step where training is the point.
"""

from __future__ import annotations

import codecs
import gzip
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_here import assert_one_line, charlm_here
from terminal_harness import make_environment, make_words

from corpus import Corpus, CorpusAccessError, CorpusOptions, load_corpus, resolve_source
from tui.clusters import MARKS_PER_BASE
from tui.console.exit_status import status_of
from tui.sanitise import printable
from tui.view.transcript import Transcript

WORDS = make_words(6000)
SMALL = (
    *("--hidden", "8", "--embedding", "4", "--batch", "2", "--sequence", "16", "--seed", "1"),
    *("--threads", "1", "--device", "cpu", "--precision", "fp32", "--minutes", "0.001"),
)
Make = Callable[[Path], object]


def write(name: str, content: str | bytes) -> Make:
    data = content.encode() if isinstance(content, str) else content
    return lambda home: (home / name).write_bytes(data)


def sparse(name: str, size: int) -> Make:
    def make(home: Path) -> None:
        with (home / name).open("wb") as file:
            file.truncate(size)

    return make


def bind(home: Path) -> None:
    here = Path.cwd()
    os.chdir(home)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("t")
    finally:
        os.chdir(here)


REFUSED: list[tuple[str, Make, str, int, tuple[str, ...]]] = [
    ("C1", write("words.txt", WORDS), "word.txt", 3, ("no such file", "words.txt")),
    ("C2", write("t", ""), "t", 3, ("is empty",)),
    ("C3", write("t", "x"), "t", 3, ("has ", "character", "needs 17")),
    ("C4", write("t", WORDS[:16]), "t", 3, ("has 14 characters", "needs 17")),
    ("C9", write("t", "\0" + WORDS), "t", 3, ("looks binary (NUL at byte 0)",)),
    ("C10", write("t", "a" * 5_000_000 + "\0"), "t", 3, ("NUL at byte 5000000",)),
    ("C11 png", write("t", b"\x89PNG\r\n\x1a\n" + b"x" * 99), "t", 3, ("PNG picture",)),
    ("C11 elf", write("t", b"\x7fELF" + b"x" * 99), "t", 3, ("ELF",)),
    ("C11 zip", write("t", b"PK\x03\x04" + b"x" * 99), "t", 3, ("zip",)),
    ("C11 pdf", write("t", b"%PDF-1.7\n" + b"x" * 99), "t", 3, ("PDF document",)),
    ("C12 gz", write("t", gzip.compress(WORDS.encode())), "t", 3, ("gzip", "decompress")),
    ("C12 xz", write("t", b"\xfd7zXZ\x00" + b"x" * 99), "t", 3, ("xz", "decompress")),
    ("C12 zst", write("t", b"\x28\xb5\x2f\xfd" + b"x" * 99), "t", 3, ("zstd", "decompress")),
    ("C13", write("t", gzip.compress(b"0" * 30_000_000)), "t", 3, ("gzip", "decompress")),
    ("C14", write("t", b"caf\xe9 " + WORDS.encode()), "t", 3, ("byte 3 (line 1): 0xe9", "latin-1")),
    ("C15", write("t", WORDS.encode() + b"\xe2\x82"), "t", 3, ("byte 6000", "cut short")),
    ("C16", write("t", WORDS.encode() + b"\xc0\xaf x"), "t", 3, ("byte 6000", "0xc0")),
    ("C17", write("t", WORDS.encode() + b"\xed\xa0\xbd x"), "t", 3, ("byte 6000", "0xed")),
    ("C20", write("t", WORDS.encode("utf-16-le")), "t", 3, ("NUL", "--encoding utf-16-le")),
    (
        "C33",
        write("t", "".join(map(chr, range(0x20, 0xD000)))),
        "t",
        3,
        ("53,216 distinct characters", "16384"),
    ),
    ("C34", write("t", "".join(map(chr, range(0x4E00, 0x4E00 + 16385)))), "t", 3, ("16,385",)),
    ("C37", sparse("t", 1 << 40), "t", 3, ("bytes, more than 64 GiB",)),
    ("C38", lambda home: (home / "d").mkdir(), "d", 3, ("holds no text file",)),
    ("C39", lambda home: (home / "t").symlink_to("t"), "t", 3, ("symbolic links",)),
    ("C40", lambda home: (home / "t").symlink_to("gone"), "t", 3, ("points to gone", "missing")),
    ("C41", lambda home: os.mkfifo(home / "t"), "t", 3, ("named pipe",)),
    ("C42", bind, "t", 3, ("socket",)),
    ("C43 zero", lambda _: None, "/dev/zero", 3, ("device",)),
    ("C43 random", lambda _: None, "/dev/urandom", 3, ("device",)),
    ("C44", lambda _: None, "-", 3, ("empty",)),
    ("C45", lambda _: None, "/proc/self/maps", 3, ("is empty",)),
    ("C51", lambda _: None, "x" * 5000, 5, ("file name too long",)),
    ("C52 empty", lambda _: None, "", 3, ("name is empty",)),
    ("C52 NUL", lambda _: None, "a\0b", 3, ("NUL",)),
]


@pytest.mark.parametrize(
    ("make", "name", "status", "words"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
def test_a_text_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, make: Make, name: str, status: int, words: tuple[str, ...]
) -> None:
    make(tmp_path)
    began = time.process_time()
    outcome = charlm_here(tmp_path, "train", name, "--json", *SMALL)
    assert_one_line(outcome, status, *words)
    assert not list(tmp_path.glob("runs/*"))
    assert time.process_time() - began < 30


def load(home: Path, name: str = "t", encoding: str | None = None) -> Corpus:
    return load_corpus(resolve_source(str(home / name)), CorpusOptions(encoding=encoding))


def text_of(corpus: Corpus) -> str:
    return corpus.vocabulary.decode(corpus.ids[:])


ACCEPTED: list[tuple[str, bytes, str, str | None]] = [
    ("C7", b"abab" * 40, "abab" * 40, None),
    ("C8", b"\n \n" * 40, "\n \n" * 40, "white space"),
    ("C6", b"a" * 90, "a" * 90, "1 distinct character"),
    ("C18", codecs.BOM_UTF8 + b"abc", "abc", "mark"),
    ("C19 le", codecs.BOM_UTF16_LE + "aé漢".encode("utf-16-le"), "aé漢", "UTF-16 LE"),
    ("C19 be", codecs.BOM_UTF16_BE + "aé漢".encode("utf-16-be"), "aé漢", "UTF-16 BE"),
    ("C21", codecs.BOM_UTF32_LE + "aé漢".encode("utf-32-le"), "aé漢", "UTF-32 LE"),
    ("C22", b"a\r\nb\r\n", "a\nb\n", None),
    ("C23", b"a\rb\r", "a\nb\n", None),
    ("C24", "a\u2028b\u2029c\x85d".encode(), "a\u2028b\u2029c\x85d", None),
    ("C25", b"\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n", None),
    ("C26", b"\x1b]52;c;b3duZWQ=\x1b\\ab", "\x1b]52;c;b3duZWQ=\x1b\\ab", None),
    ("C27", "\x9b31mx".encode(), "\x9b31mx", None),
    ("C28", "\u202egnp".encode(), "\u202egnp", None),
    ("C29", b"[/] [@click=app.quit]x", "[/] [@click=app.quit]x", None),
    ("C31", "👩‍👩‍👧🇫🇷".encode(), "👩‍👩‍👧🇫🇷", None),
]


@pytest.mark.parametrize(
    ("data", "text", "note"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED]
)
def test_a_text_that_looks_strange_is_read_as_what_it_is(
    tmp_path: Path, data: bytes, text: str, note: str | None
) -> None:
    (tmp_path / "t").write_bytes(data)
    corpus = load(tmp_path)
    assert text_of(corpus) == text
    assert note is None or any(note in said for said in corpus.notes), corpus.notes
    shown = Transcript(40)
    shown.append(text)
    lines = ["".join(piece.text for piece in shown.line(n)) for n in range(shown.line_count)]
    assert all(printable(line) == line for line in lines)


def test_c5_a_text_of_the_least_length_trains_without_a_held_out_part(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(WORDS[:20], encoding="utf-8")
    outcome = charlm_here(tmp_path, "train", "t", *SMALL)
    assert outcome.status == 0, outcome.complaint
    assert "warning: " in outcome.output
    assert "saved" in outcome.output


def test_c6_one_distinct_character_trains_to_no_loss_and_no_nan(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a" * 3000, encoding="utf-8")
    outcome = charlm_here(tmp_path, "train", "t", *SMALL)
    assert outcome.status == 0, outcome.complaint
    assert "1 distinct character" in outcome.output
    assert "nan" not in outcome.output


def test_c30_a_thousand_marks_on_a_letter_are_four(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("e" + "\u0301" * 1000 + "x", encoding="utf-8")
    corpus = load(tmp_path)
    transcript = Transcript(40)
    transcript.append(text_of(corpus))
    (line,) = ("".join(piece.text for piece in transcript.line(n)) for n in range(1))
    assert line.count("\u0301") == MARKS_PER_BASE
    assert line.endswith("x")


def test_c32_a_line_without_end_wraps_without_stalling() -> None:
    transcript = Transcript(79)
    began = time.process_time()
    for _ in range(200):
        transcript.append("x" * 5000)
    assert time.process_time() - began < 30
    assert transcript.line_count <= 20_000
    assert len("".join(piece.text for piece in transcript.line(0))) <= 79


def test_c36_one_emoji_among_ascii_costs_no_string_of_four_bytes_a_character(
    tmp_path: Path,
) -> None:
    (tmp_path / "t").write_bytes(b"abcdefghij" * 200_000 + "😀".encode())
    corpus = load(tmp_path)
    assert len(corpus.ids) == 2_000_001
    assert corpus.ids.dtype.itemsize == 1


def test_c47_to_c49_a_text_that_changes_while_it_is_trained_on_is_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text(WORDS, encoding="utf-8")
    corpus = load(tmp_path)
    path.write_text("other", encoding="utf-8")  # truncated and replaced
    assert text_of(corpus) == WORDS
    path.unlink()
    assert text_of(corpus) == WORDS


def test_c48_a_resumed_run_says_that_its_text_has_changed(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(WORDS, encoding="utf-8")
    assert charlm_here(tmp_path, "train", "t", *SMALL, "--run", "r").status == 0
    (tmp_path / "t").write_text(WORDS[::-1], encoding="utf-8")
    outcome = charlm_here(
        tmp_path, "train", "--resume", "--run", "r", "--threads", "1", "--minutes", "0.002"
    )
    assert outcome.status == 0, outcome.complaint
    assert "warning: " in outcome.output
    assert (
        "not the one" in outcome.output
        or "differs" in outcome.output
        or "changed" in (outcome.output)
    )


@pytest.mark.parametrize(
    "name",
    ["new\nline", "esc\x1b]0;x\x07", "bidi\u202e", os.fsdecode(b"latin-\xe9")],
    ids=ascii,
)
def test_c50_a_file_works_whatever_its_name_and_the_name_is_shown_inert(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(WORDS, encoding="utf-8")
    outcome = charlm_here(tmp_path, "train", name, *SMALL)
    assert outcome.status == 0, outcome.complaint
    assert printable(outcome.output, keep_newlines=True) == outcome.output
    assert_one_line(charlm_here(tmp_path, "train", name + "x", *SMALL), 3, "no such file")


def test_c53_the_runs_may_lie_beside_the_text(tmp_path: Path) -> None:
    """A folder is read without its hidden parts and without what is no text: runs are neither."""
    (tmp_path / "t.txt").write_text(WORDS, encoding="utf-8")
    outcome = charlm_here(tmp_path, "train", ".", *SMALL)
    assert outcome.status == 0, outcome.complaint


@pytest.mark.skipif(
    not hasattr(os, "setresuid") or os.getuid() != 0, reason="only root can become nobody"
)
def test_c46_a_file_without_permission_is_status_5() -> None:
    """Root reads everything, so the question is asked as nobody."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        path = Path(place) / "t"
        path.write_text(WORDS, encoding="utf-8")
        path.chmod(0)
        os.setresuid(65534, 65534, 0)
        try:
            with pytest.raises(CorpusAccessError, match="permission denied") as refused:
                resolve_source(str(path))
        finally:
            os.setresuid(0, 0, 0)
        assert status_of(refused.value) == 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_c35_a_gigabyte_is_streamed(tmp_path: Path) -> None:
    """In a process of its own, whose highest memory is measured."""
    with (tmp_path / "t").open("wb") as file:
        for _ in range(1000):
            file.write(WORDS[:5000].encode() * 200)
    program = (
        "import resource, sys; from corpus import *\n"
        "c = load_corpus(resolve_source(sys.argv[1]), CorpusOptions())\n"
        "print(len(c.ids), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "t")],
        env=make_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=1000,
        check=True,
    )
    characters, kibibytes = map(int, done.stdout.split())
    assert characters == 10**9
    assert kibibytes / 2**20 <= 1.3
