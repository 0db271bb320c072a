"""What a specification on the command line finds, and what it gets where it finds nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from corpus import (
    CorpusAccessError,
    CorpusError,
    CorpusOptions,
    DownloadError,
    load_corpus,
    loading,
    resolve_source,
)

not_as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / ".cache"))


def text_of(specification: str) -> str:
    corpus = load_corpus(resolve_source(specification), CorpusOptions())
    return corpus.vocabulary.decode(corpus.ids)


def refused(specification: str, kind: type[CorpusError] = CorpusError) -> str:
    with pytest.raises(CorpusError) as caught:
        resolve_source(specification)
    assert type(caught.value) is kind
    assert len(str(caught.value)) <= 200
    return str(caught.value)


def test_a_file_is_found_again_from_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("story.txt").write_text("once upon a time")
    source = resolve_source("story.txt")
    assert source.name == "story.txt"
    monkeypatch.chdir("/")
    assert text_of(source.specification) == "once upon a time"


def test_a_missing_file_gets_the_nearest_name() -> None:
    Path("story.txt").write_text("x")
    assert "did you mean story.txt?" in refused("stroy.txt")
    assert "did you mean nietzsche?" in refused("nietsche")
    assert "no such file" in refused("nowhere/at/all")
    assert "a part of the path is a file" in refused("story.txt/more")


def test_the_nearest_name_can_be_typed_although_it_looks_like_an_option() -> None:
    Path("-dashed.txt").write_text("a")
    with pytest.raises(CorpusError, match=r"did you mean \./-dashed\.txt\?"):
        resolve_source("dashed.txt")


def test_a_name_of_blanks_can_be_seen_in_its_message() -> None:
    with pytest.raises(CorpusError, match=r"^'  ': no such file"):
        resolve_source("  ")


def test_a_built_in_name_goes_before_a_file_of_that_name() -> None:
    Path("python-docs").write_text("mine")
    assert resolve_source("python-docs").specification == "python-docs"
    assert text_of("./python-docs") == "mine"


def test_an_empty_file_is_refused() -> None:
    Path("empty").touch()
    assert "is empty" in refused("empty")


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_names_that_no_file_can_have_are_refused(name: str) -> None:
    assert refused(name).startswith("CORPUS: ")


def test_what_is_no_regular_file_is_refused_without_opening_it() -> None:
    os.mkfifo("pipe")
    assert "named pipe, not a regular file" in refused("pipe")
    assert "device, not a regular file" in refused("/dev/zero")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("socket")
    listener.close()
    assert "socket, not a regular file" in refused("socket")


def test_a_pipe_that_takes_a_files_place_does_not_hang() -> None:
    Path("text").write_text("x")
    source = resolve_source("text")
    Path("text").unlink()
    os.mkfifo("text")
    with pytest.raises(CorpusError, match="not a regular file"):
        load_corpus(source, CorpusOptions())


def test_links_that_lead_nowhere_or_round_are_refused() -> None:
    Path("dangling").symlink_to("gone")
    assert "points to gone, which is missing" in refused("dangling")
    Path("loop").symlink_to("loop")
    assert "too many levels of symbolic links" in refused("loop")


def test_a_link_to_a_text_is_followed() -> None:
    Path("text").write_text("x")
    Path("link").symlink_to("text")
    assert text_of("link") == "x"


def test_a_sparse_giant_is_refused_before_it_is_read() -> None:
    with Path("giant").open("wb") as file:
        file.truncate(1 << 40)
    assert "more than 64 GiB" in refused("giant")
    Path("folder").mkdir()
    Path("giant").rename("folder/giant")
    with pytest.raises(CorpusError, match="more than 64 GiB"):
        text_of("folder")


def test_a_name_that_is_too_long_is_shortened_in_the_message() -> None:
    assert "file name too long" in refused("x" * 5000, CorpusAccessError)


def test_a_file_of_proc_counts_as_empty() -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("this system has no /proc")
    assert "is empty" in refused("/proc/self/maps")


@not_as_root
def test_a_file_that_may_not_be_read_is_refused_at_once() -> None:
    Path("secret").write_text("x")
    Path("secret").chmod(0)
    assert "permission denied" in refused("secret", CorpusAccessError)


@pytest.mark.parametrize("name", ["new\nline", "\x1b[2Jescape", "\u202eright", "caf\udce9"])
def test_any_name_that_a_file_can_have_works(name: str) -> None:
    Path(name).write_text("x")
    assert text_of(name) == "x"


def test_a_folder_is_its_text_files_in_order() -> None:
    for name in ("b.txt", "a/2.txt", "a/10.txt", "a.txt", ".hidden", ".git/config", "a/.secret"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(f"({name})")
    Path("z.bin").write_bytes(b"\0" * 100)
    Path("empty").touch()
    os.mkfifo("pipe")
    Path("dangling").symlink_to("gone")
    Path("round").symlink_to(".")
    Path("a/up").symlink_to("..")
    corpus = load_corpus(resolve_source("."), CorpusOptions())
    text = corpus.vocabulary.decode(corpus.ids)
    assert text == "(a/10.txt)\n\x1e\n(a/2.txt)\n\x1e\n(a.txt)\n\x1e\n(b.txt)"
    assert corpus.notes == ("1 file: skipped, not text",)
    assert corpus.name == Path.cwd().name


def test_a_folder_without_text_is_refused() -> None:
    Path("folder").mkdir()
    with pytest.raises(CorpusError, match="folder: holds no text file"):
        text_of("folder")
    Path("folder/picture").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(CorpusError, match="folder: holds no text file"):
        text_of("folder")


def test_a_bad_byte_in_a_folder_is_named_with_its_file() -> None:
    Path("folder").mkdir()
    Path("folder/old.txt").write_bytes(b"caf\xe9")
    with pytest.raises(CorpusError, match=r"folder/old\.txt: not UTF-8 at byte 3"):
        text_of("folder")


def test_offline_an_absent_download_offers_the_embedded_text() -> None:
    with pytest.raises(DownloadError, match=r"--offline.*python-prose"):
        resolve_source("nietzsche", offline=True)
    assert resolve_source("nietzsche").name == "nietzsche"


def test_offline_a_damaged_download_is_not_used() -> None:
    Path(".cache").mkdir()
    Path(".cache/nietzsche.txt").write_bytes(b"x" * 600_901)
    with pytest.raises(DownloadError, match="damaged"):
        load_corpus(resolve_source("nietzsche", offline=True), CorpusOptions())


def make_sources() -> None:
    for name in ("main.py", "lib/one.py", "lib/deep/two.py", "lib/one.c", "notes.md"):
        Path("folder", name).parent.mkdir(parents=True, exist_ok=True)
        Path("folder", name).write_text(f"({name})\n")


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        ((), (), ["lib/deep/two.py", "lib/one.c", "lib/one.py", "main.py", "notes.md"]),
        (("*.py",), (), ["lib/deep/two.py", "lib/one.py", "main.py"]),
        (("*.c", "*.md"), (), ["lib/one.c", "notes.md"]),
        (("lib/*.py",), (), ["lib/deep/two.py", "lib/one.py"]),
        (("*.py",), ("lib/deep/*", "main.*"), ["lib/one.py"]),
        ((), ("*.py",), ["lib/one.c", "notes.md"]),
    ],
)
def test_patterns_choose_the_files_of_a_folder(
    include: tuple[str, ...], exclude: tuple[str, ...], names: list[str]
) -> None:
    make_sources()
    options = CorpusOptions(include=include, exclude=exclude)
    corpus = load_corpus(resolve_source("folder", options=options), options)
    assert corpus.vocabulary.decode(corpus.ids) == "\x1e\n".join(f"({name})\n" for name in names)


def test_patterns_that_leave_nothing_or_have_no_folder_are_refused() -> None:
    make_sources()
    options = CorpusOptions(include=("*.rs",))
    with pytest.raises(
        CorpusError, match="no text file that matches the patterns; check --include"
    ):
        load_corpus(resolve_source("folder", options=options), options)
    with pytest.raises(CorpusError, match=r"--include: folder/main\.py is no folder"):
        resolve_source("folder/main.py", options=options)
    with pytest.raises(CorpusError, match="--exclude: python-docs is no folder"):
        resolve_source("python-docs", options=CorpusOptions(exclude=("*",)))


def test_a_mark_that_stands_in_a_file_is_no_mark() -> None:
    Path("folder").mkdir()
    Path("folder/1").write_text("one\x1etwo")
    Path("folder/2").write_text("three")
    corpus = load_corpus(resolve_source("folder"), CorpusOptions())
    assert corpus.vocabulary.decode(corpus.ids) == "one two\n\x1e\nthree"
    assert corpus.notes == ("1 file: U+001E, the mark between documents, was read as a space",)
    plain = CorpusOptions(document_mark="")
    corpus = load_corpus(resolve_source("folder"), plain)
    assert corpus.vocabulary.decode(corpus.ids) == "one\x1etwo\nthree"
    corpus = load_corpus(resolve_source("folder/1"), CorpusOptions())
    assert corpus.vocabulary.decode(corpus.ids) == "one\x1etwo"


def test_a_folder_is_found_again_until_one_of_its_files_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("corpus.load.MAX_IDS_IN_MEMORY", 20)
    monkeypatch.setattr("corpus.cache.fingerprint.SECONDS_TO_SETTLE", -60.0)
    make_sources()
    options = CorpusOptions(include=("*.py",))

    def stages() -> set[str]:
        return {done.stage for done in loading(resolve_source("folder", options=options), options)}

    assert "encoding the text" in stages()
    assert stages() == {"checking the cache"}
    Path("folder/lib/one.c").write_text("not a part of it")
    assert stages() == {"checking the cache"}
    Path("folder/lib/new.py").write_text("a part of it")
    assert "encoding the text" in stages()
