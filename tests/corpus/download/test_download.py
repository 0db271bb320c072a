"""A pinned file from servers that are honest, broken and hostile, all on this machine."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from local_server import Handler, LocalServer, answer, serving
from patience import PATIENCE

from corpus import CorpusAccessError, CorpusError, DownloadError
from corpus.download.builtin import NIETZSCHE
from corpus.download.fetch import PinnedDownload, fetch
from corpus.download.receiver import ReceiveError, receive

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"God is dead.\n" * 9000


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serving(answer(CONTENT)) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def pinned(url: str, **changes: Any) -> PinnedDownload:
    text = PinnedDownload(
        name="text.txt",
        url=url,
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        read_seconds=PATIENCE,
        whole_seconds=PATIENCE,
        plain_loopback=True,
    )
    return replace(text, **changes)


def download(text: PinnedDownload, folder: Path) -> int:
    return max(fetch(text, folder), default=0)


def refused(text: PinnedDownload, folder: Path, kind: type[CorpusError] = DownloadError) -> str:
    with pytest.raises(CorpusError) as caught:
        download(text, folder)
    assert type(caught.value) is kind
    assert not folder.is_dir() or not list(folder.iterdir()), "something was left behind"
    message = str(caught.value)
    assert len(message) <= 200
    assert "\n" not in message
    if kind is DownloadError:
        assert "charlm-tui python-prose" in message
    return message


def test_an_honest_server_fills_the_cache(server: LocalServer, tmp_path: Path) -> None:
    server.reply = answer(CONTENT)
    text = pinned(server.url)
    folder = tmp_path / "new" / "folder"
    assert not text.is_in(folder)
    assert download(text, folder) == len(CONTENT)
    assert text.is_in(folder)
    assert [path.name for path in folder.iterdir()] == ["text.txt"]
    assert server.headers[0]["Accept-Encoding"] == "identity"


def test_a_damaged_file_is_replaced(server: LocalServer, tmp_path: Path) -> None:
    server.reply = answer(CONTENT)
    text = pinned(server.url)
    (tmp_path / "text.txt").write_bytes(b"x" * len(CONTENT))
    assert not text.is_in(tmp_path)
    download(text, tmp_path)
    assert text.is_in(tmp_path)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(CONTENT[::-1]), "another text"),
        (answer(CONTENT[:-1]), "sent 116,999 of 117,000 bytes"),
        (answer(CONTENT[:100], Content_Length="117000"), ""),
        (answer(CONTENT + b"x"), "more than the 117,000 bytes"),
        (answer(b"<html>Please log in</html>", Content_Type="text/html"), "sent 26 of"),
        (answer(gzip.compress(CONTENT), Content_Encoding="gzip"), "compressed"),
        (answer(b"", 404), "answered 404"),
        (answer(b"", 403), "answered 403"),
        (answer(b"", 500), "answered 500"),
        (answer(b"", 302, Location="http://example.invalid/text"), "not https"),
        (answer(b"", 302, Location="file:///etc/passwd"), "not https"),
        (answer(b"", 308, Location="ftp://127.0.0.1/text"), "not https"),
        (answer(b"", 301, Location="/again"), "answered 301"),
        (lambda handler: handler.wfile.write(b"\x16\x03garbage\r\n\r\n"), "cannot be downloaded"),
        (lambda handler: None, "cannot be downloaded"),
    ],
)
def test_a_wrong_answer_leaves_nothing(
    server: LocalServer, tmp_path: Path, reply: Any, words: str
) -> None:
    server.reply = reply
    assert words in refused(pinned(server.url), tmp_path)
    assert server.requests <= 6


def test_an_endless_answer_is_cut_at_the_known_size(server: LocalServer, tmp_path: Path) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not server.stopped.is_set():
            handler.wfile.write(b"x" * 65536)

    server.reply = endless
    assert "more than" in refused(pinned(server.url), tmp_path)


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nX-Slow: "])
def test_a_dripping_server_is_left_at_the_deadline(
    server: LocalServer, tmp_path: Path, head: bytes
) -> None:
    def drip(handler: Handler) -> None:
        handler.wfile.write(head)
        while not server.stopped.wait(0.05):
            handler.wfile.write(b"x")

    server.reply = drip
    assert "longer than 0.4 s" in refused(pinned(server.url, whole_seconds=0.4), tmp_path)


@pytest.mark.parametrize("has_tunnel", [False, True])
def test_a_dripping_proxy_is_left_at_the_deadline(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_tunnel: bool
) -> None:
    """B7: before the tunnel, or within it in place of TLS, nothing knew of the socket."""

    def drip(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n" + (b"\r\n" if has_tunnel else b"X-Slow: "))
        if has_tunnel:
            handler.rfile.read(1)  # of the greeting
            handler.wfile.write(b"\x16\x03\x03\x3f\xff")  # a long record begins
        with contextlib.suppress(OSError):
            while not server.stopped.wait(0.05):
                handler.wfile.write(b"x")

    server.reply = drip
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
    text = pinned("https://example.invalid/text", whole_seconds=0.4)
    assert "longer than 0.4 s" in refused(text, tmp_path)
    assert "download" not in {thread.name for thread in threading.enumerate()}


def test_a_look_up_that_never_ends_is_left_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B7: a name server that is silent holds the system's own look-up, which nothing interrupts."""
    over = threading.Event()

    def look_up(*_: object, **__: object) -> None:
        over.wait(PATIENCE)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    text = pinned("https://example.invalid/text", whole_seconds=0.2)
    assert "longer than 0.2 s" in refused(text, tmp_path)
    over.set()


def test_the_deadline_counts_what_the_reader_does_meanwhile(server: LocalServer) -> None:
    now = iter(range(0, 100, 10))
    pieces = receive(
        server.url,
        allows=lambda _: True,
        read_seconds=PATIENCE,
        whole_seconds=25,
        clock=lambda: next(now),
    )
    server.reply = pieces_for_ever(server)
    with pytest.raises(ReceiveError, match="longer than 25 s"):
        list(pieces)


def pieces_for_ever(server: LocalServer) -> Any:
    def reply(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not server.stopped.is_set():
                handler.wfile.write(b"x" * 1000)

    return reply


def test_a_silent_server_is_left_sooner(server: LocalServer, tmp_path: Path) -> None:
    def silent(_handler: Handler) -> None:
        server.stopped.wait(PATIENCE)

    server.reply = silent
    assert "no answer in time" in refused(pinned(server.url, read_seconds=0.1), tmp_path)


def test_nobody_listening_and_no_such_host_are_said_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert "refused" in refused(pinned(f"http://127.0.0.1:{port}/"), tmp_path)
    assert "cannot be downloaded" in refused(pinned("https://nowhere.invalid/text"), tmp_path)


def test_a_plain_server_does_not_pass_for_a_secure_one(server: LocalServer, tmp_path: Path) -> None:
    server.reply = answer(CONTENT)
    secure = server.url.replace("http:", "https:")
    assert "cannot be downloaded" in refused(pinned(secure), tmp_path)


def test_plain_http_is_for_tests_only(server: LocalServer, tmp_path: Path) -> None:
    assert "not https" in refused(pinned(server.url, plain_loopback=False), tmp_path)
    assert "not https" in refused(pinned("http://example.invalid/"), tmp_path)
    assert server.requests == 0
    assert not NIETZSCHE.plain_loopback
    assert NIETZSCHE.allows(NIETZSCHE.url)


def test_a_download_that_is_given_up_removes_its_part(server: LocalServer, tmp_path: Path) -> None:
    server.reply = answer(CONTENT)
    pieces = fetch(pinned(server.url), tmp_path)
    next(pieces)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    pieces.close()  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())


def test_an_interrupt_removes_the_part(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_descriptor: int) -> None:
        raise KeyboardInterrupt

    server.reply = answer(CONTENT)
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download(pinned(server.url), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_the_disks_fault(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    server.reply = answer(CONTENT)
    monkeypatch.setattr(os, "fsync", full)
    assert "no space left" in refused(pinned(server.url), tmp_path, CorpusAccessError)


def test_a_cache_that_cannot_be_made_is_an_error(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(CorpusAccessError, match="CHARLM_CACHE"):
            download(pinned(server.url), folder)
    assert server.requests == 0


def test_two_downloads_at_once_both_succeed(server: LocalServer, tmp_path: Path) -> None:
    server.reply = answer(CONTENT)
    text = pinned(server.url)
    threads = [threading.Thread(target=download, args=(text, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
    assert text.is_in(tmp_path)


def test_the_part_of_a_killed_process_is_swept_up(server: LocalServer, tmp_path: Path) -> None:
    server.reply = answer(CONTENT)
    """C1: what has another name than ours stays, however old."""
    old, new = tmp_path / ".text.txt.abcd_123.part", tmp_path / ".text.txt.efgh_456.part"
    mine = tmp_path / ".text.txt.chapter.one.part"
    for path in (old, new, mine):
        path.touch()
    for path in (old, mine):
        os.utime(path, (0, 0))
    download(pinned(server.url), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [mine.name, new.name, "text.txt"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_in_the_place_of_a_download_is_left_alone(
    kind: str, server: LocalServer, tmp_path: Path
) -> None:
    """B2: refused in one line, and what a link leads to keeps its bytes."""
    server.reply = answer(CONTENT)
    victim, path = tmp_path / "mine", tmp_path / "cache" / "text.txt"
    victim.write_bytes(b"mine")
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(CorpusError, match="is a "):
        download(pinned(server.url), path.parent)
    assert victim.read_bytes() == b"mine"
    assert list(path.parent.iterdir()) == [path]
