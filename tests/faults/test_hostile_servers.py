"""Fifteen servers that lie, stall or break, through the command line: status, one line, no trace.

What single answers do to `fetch` is in `tests/corpus/download/test_download.py`; here is what a
user sees.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forked
import hostile_download
import pytest
from command_server import CommandServer, Done, Request
from local_server import Handler, Reply, answer, serving
from patience import PATIENCE, moments
from terminal_harness import TINY, make_environment, make_words

from model.system import torch_import

CONTENT = make_words(60_000).encode()
SECONDS = 3.0
"""For all of a download; a server that is silent or drips is left after these."""


def pieces(piece: bytes, pause: float) -> Reply:
    """Sends a piece again and again, whatever the size of the text."""

    def reply(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        server: Any = handler.server
        while not server.stopped.wait(pause):
            handler.wfile.write(piece)

    return reply


def environment(home: Path, **changes: str) -> dict[str, str]:
    cache = {"CHARLM_CACHE": str(home / "cache"), "PYTHONPATH": str(forked.ROOT)}
    return make_environment(home, **{**cache, **changes})


def left_in(home: Path) -> list[str]:
    cache = home / "cache"
    names = {path.name for path in cache.iterdir()} if cache.is_dir() else set()
    return sorted(names - {torch_import.FOLDER})


@pytest.fixture(scope="module")
def commands() -> Iterator[CommandServer]:
    with CommandServer() as server:
        yield server


class Program:
    """Trains on the text that is downloaded, from an address of the tests."""

    def __init__(self, server: CommandServer, home: Path) -> None:
        self.home = home
        self._server = server

    def train(self, url: str, *, largest_file: int | None = None, **changes: str) -> Done:
        text = {
            "url": url,
            "size": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "read_seconds": SECONDS - 1,
            "whole_seconds": SECONDS,
            "plain_loopback": True,
        }
        request = Request(
            arguments=("train", "nietzsche", "--json", *TINY, "--epochs", "1"),
            folder=str(self.home),
            environment=environment(self.home, **changes),
            largest_file=largest_file,
            download=text,
        )
        return self._server.run(request)

    def assert_refused(self, url: str, words: str, **changes: str) -> None:
        done = self.train(url, largest_file=None, **changes)
        assert done.status == 6, done.complaint
        assert_clean(done, self.home, words)
        assert "charlm-tui python-prose" in done.complaint


@pytest.fixture(scope="module", autouse=True)
def _counted(request: pytest.FixtureRequest, figure: Callable[[str], None]) -> Iterator[None]:
    failed = request.session.testsfailed
    yield
    mine = sum(item.path == request.path for item in request.session.items)
    failed = request.session.testsfailed - failed
    figure(f"hostile servers: {mine} tests of what they may do, {failed} failed")


@pytest.fixture
def program(commands: CommandServer, tmp_path: Path) -> Program:
    return Program(commands, tmp_path)


def assert_clean(done: Done, home: Path, words: str) -> None:
    """One line on stderr, nothing on stdout, nothing in the cache, no run."""
    assert done.output == ""
    assert done.complaint.startswith("charlm-tui: ")
    assert done.complaint.count("\n") == 1
    assert len(done.complaint) < 250
    assert words in done.complaint
    assert left_in(home) == []
    assert not (home / "runs").exists()


ANSWERS: dict[str, tuple[Reply, str]] = {
    "wrong hash": (answer(CONTENT[::-1]), "its SHA-256 differs"),
    "short body": (answer(CONTENT[:-1]), "59,999 of 60,000 bytes"),
    "infinite body": (pieces(b"x" * 65536, 0.0), "more than the 60,000 bytes"),
    "drip": (pieces(b"x", 0.1), "longer than 3 s"),
    "gzip encoding": (answer(gzip.compress(CONTENT), Content_Encoding="gzip"), "compressed"),
    "redirect to http": (answer(b"", 302, Location="http://example.invalid/"), "not https"),
    "redirect to file": (answer(b"", 302, Location="file:///etc/passwd"), "not https"),
    "redirect loop": (answer(b"", 302, Location="/again"), "answered 302"),
    "404": (answer(b"gone", 404), "answered 404"),
    "403": (answer(b"no", 403), "answered 403"),
    "500": (answer(b"oh", 500), "answered 500"),
    "captive portal": (answer(b"<html>Log in</html>", Content_Type="text/html"), "19 of 60,000"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_hostile_answer_is_status_6_in_one_line(name: str, program: Program) -> None:
    reply, words = ANSWERS[name]
    with serving(reply) as server:
        program.assert_refused(f"http://127.0.0.1:{server.port}/text", words)


def test_a_name_that_nobody_has_is_status_6(program: Program) -> None:
    program.assert_refused("https://nowhere.invalid/text", "cannot be downloaded")


def test_a_proxy_that_talks_nonsense_is_status_6(program: Program) -> None:
    def nonsense(handler: Handler) -> None:
        handler.wfile.write(b"\x16\x03\x01 SSH-2.0-nonsense\r\n\r\n")

    with serving(nonsense) as server:
        proxy = f"http://127.0.0.1:{server.port}"
        url = "https://example.invalid/text"
        program.assert_refused(url, "cannot be downloaded", https_proxy=proxy)


def test_a_proxy_that_drips_is_left_at_the_deadline(program: Program) -> None:
    """B7: it held the program for as long as it liked."""

    def drip(handler: Handler) -> None:
        server: Any = handler.server
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        while not server.stopped.wait(0.1):
            handler.wfile.write(b"x")

    with serving(drip) as server:
        proxy = f"http://127.0.0.1:{server.port}"
        url = "https://example.invalid/text"
        program.assert_refused(url, "longer than 3 s", https_proxy=proxy)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_certificate_of_another_name_is_status_6(program: Program) -> None:
    """An authority that is trusted signed it, for somebody else; for us it works."""
    for name in ("elsewhere.example", "localhost"):
        certificate, key = program.home / f"{name}.pem", program.home / f"{name}.key"
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*make, *names, *files], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with serving(answer(b"too short"), context) as server:
            url = f"https://localhost:{server.port}/text"
            words = "9 of 60,000 bytes" if name == "localhost" else "Hostname mismatch"
            program.assert_refused(url, words, SSL_CERT_FILE=str(certificate))


def test_a_full_disk_is_status_5(program: Program) -> None:
    """A limit on the size of files stands for it: the second half of the text finds no room."""
    with serving(answer(CONTENT)) as server:
        url = f"http://127.0.0.1:{server.port}/text"
        done = program.train(url, largest_file=30_000)
    assert done.status == 5, done.complaint
    assert_clean(done, program.home, "file too large; free space there, or set $CHARLM_CACHE to")


def test_a_server_that_is_silent_or_not_there_is_status_6(program: Program) -> None:
    def silent(handler: Handler) -> None:
        server: Any = handler.server
        server.stopped.wait(PATIENCE)

    with serving(silent) as server:
        program.assert_refused(f"http://127.0.0.1:{server.port}/text", "in time")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        program.assert_refused(f"http://127.0.0.1:{port}/text", "refused")


# --- processes of their own ---------------------------------------------------------------------


def started(home: Path, port: int) -> subprocess.Popen[str]:
    digest = hashlib.sha256(CONTENT).hexdigest()
    words = [f"http://127.0.0.1:{port}/text", str(len(CONTENT)), digest, "60"]
    arguments = ["train", "nietzsche", "--json", *TINY, "--epochs", "1"]
    return subprocess.Popen(
        [sys.executable, hostile_download.__file__, *words, *arguments],
        env=environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def half_and_wait(handler: Handler) -> None:
    """Sends half of the text, and nothing more until the server ends."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(CONTENT[:30_000])
    server: Any = handler.server
    server.stopped.wait(PATIENCE)


def test_an_interrupt_in_the_middle_is_status_130(tmp_path: Path) -> None:
    with serving(half_and_wait) as server, started(tmp_path, server.port) as process:
        for _ in moments("a part of the text"):
            assert process.poll() is None, process.communicate()
            if any(name.endswith(".part") for name in left_in(tmp_path)):
                break
        process.send_signal(signal.SIGINT)
        output, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT
    assert output == ""
    assert complaint.count("\n") <= 1
    assert "Traceback" not in complaint
    assert left_in(tmp_path) == []


def test_two_at_once_both_have_the_text(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    def together(handler: Handler) -> None:
        both.wait()
        answer(CONTENT)(handler)

    with serving(together) as server:
        processes = [started(tmp_path, server.port) for _ in range(2)]
        done = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], done
    assert left_in(tmp_path) == ["nietzsche.txt"]
    assert (tmp_path / "cache" / "nietzsche.txt").read_bytes() == CONTENT
