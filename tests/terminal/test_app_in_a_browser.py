"""``serve``: the app on a page, of this machine alone, that saves when the page goes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE, moments_of_a_loop, until
from ports import free_port
from terminal_harness import (
    LONG,
    PROGRAM,
    assert_saved_at_the_end,
    checkpoint_steps,
    is_alive,
    make_environment,
    make_words,
)

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")

from tui.page_server import is_loopback  # noqa: E402 - an extra

pytestmark = pytest.mark.terminal


@contextmanager
def served(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Serves the app on a free port; a server that is still there at the end is killed."""
    port = free_port()
    (home / "a text.txt").write_text(make_words(6000))
    process = subprocess.Popen(
        [PROGRAM, "serve", "--port", str(port), "a text.txt", *LONG, *arguments],
        env=make_environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        yield process, port
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def children_of(process: subprocess.Popen[str]) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return [int(number) for number in found.split()]


async def read_until(page: Any, words: bytes) -> bytes:
    """Takes in what the page is told until the words are among it."""
    found = b""
    async with asyncio.timeout(PATIENCE):
        while words not in found:
            message = await page.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, found[-500:]
            found += message.data
    return found


linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux_only
def test_the_app_saves_and_ends_when_its_page_is_closed(tmp_path: Path) -> None:
    async def visit(server: subprocess.Popen[str], port: int) -> None:
        async with aiohttp.ClientSession() as client:
            async with client.ws_connect(f"http://127.0.0.1:{port}/ws?width=90&height=30") as page:
                await read_until(page, b"TRAINING")
                (app,) = children_of(server)
            await until(lambda: not is_alive(app), "the end of the app")
            assert server.poll() is None

    with served(tmp_path) as (server, port):
        asyncio.run(visit(server, port))
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)


@linux_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_after_every_app_has_saved(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def visit(server: subprocess.Popen[str], port: int) -> None:
        address = f"http://127.0.0.1:{port}/ws"
        async with aiohttp.ClientSession() as client, client.ws_connect(address) as page:
            await read_until(page, b"TRAINING")
            (app,) = children_of(server)
            server.send_signal(number)
            while (await page.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
            await until(lambda: server.poll() is not None, "the end of the server")
            assert not is_alive(app)

    with served(tmp_path) as (server, port):
        asyncio.run(visit(server, port))
        assert server.returncode == 128 + number
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)


def test_pages_from_elsewhere_are_turned_away(tmp_path: Path) -> None:
    async def visit(port: int) -> None:
        own = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as client:
            async with client.get(own) as page:
                text = await page.text()
                assert page.status == 200
                assert f"ws://127.0.0.1:{port}/ws" in text
                assert "googleapis" not in text
            for path in ("/", "/ws"):
                for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
                    async with client.get(own + path, headers=headers) as refused:
                        assert refused.status == 403

    with served(tmp_path) as (server, port):
        asyncio.run(visit(port))
        assert not checkpoint_steps(tmp_path / "runs")
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--host", "0.0.0.0"], 2, "--host: '0.0.0.0' can be reached from other machines"),
        (["--host", "example.org"], 2, "add --allow-remote"),
        (["-"], 2, "a page cannot share standard input"),
        (["nosuchfile"], 3, "nosuchfile: no such file"),
        (["--hidden", "0"], 2, "hidden"),
        (["--no-such-option"], 2, "--no-such-option"),
        (["--port", "0"], 2, "--port"),
    ],
)
def test_what_no_page_could_show_is_refused_in_one_line(
    tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    done = subprocess.run(
        [PROGRAM, "serve", *arguments],
        env=make_environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "textual_serve").mkdir()
    (tmp_path / "textual_serve" / "__init__.py").write_text(
        "raise ModuleNotFoundError(name='textual_serve')"
    )
    done = subprocess.run(
        [PROGRAM, "serve"],
        env=make_environment(tmp_path, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert "extra 'web' is not installed; pip install 'charlm-tui[web]'" in done.stderr


def test_a_pipe_is_no_terminal_whatever_the_environment_says(tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "python-docs"],
        env=make_environment(
            tmp_path,
            TEXTUAL_DRIVER="textual.drivers.web_driver:WebDriver",
            CHARLM_SERVED_BY="1",
        ),
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) == loopback


@pytest.mark.slow
def test_a_browser_shows_the_app_and_its_keys_work(tmp_path: Path) -> None:
    from browser import CHROMIUM, opened_page, pixels

    if CHROMIUM is None:
        pytest.skip("chromium is not installed")

    async def visit(port: int) -> bytes:
        async with opened_page(tmp_path / "chromium") as page:
            await page.ask("Page.navigate", url=f"http://127.0.0.1:{port}/")
            async for _ in moments_of_a_loop("a page that shows the app"):
                if await page.evaluate("document.body?.classList.contains('-first-byte')"):
                    break
            await until(lambda: "validation" in metrics(), "the training")
            picture = await page.picture()
            assert "finished" not in metrics()
            await page.type("e")
            await until(lambda: "finished" in metrics(), "the key's effect")
            return picture

    def metrics() -> str:
        return "".join(path.read_text() for path in tmp_path.glob("runs/*/metrics.jsonl"))

    with served(tmp_path) as (server, port):
        picture = asyncio.run(visit(port))
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 128 + signal.SIGTERM
    Path(os.environ.get("CHARLM_BROWSER_PICTURE", tmp_path / "page.png")).write_bytes(picture)
    shown = pixels(picture)[..., :3]
    assert shown.shape[:2] >= (500, 900)
    colours, counts = np_unique_colours(shown)
    assert len(colours) > 50  # smoothed letters in several colours, and not one message alone
    assert counts.max() < 0.97 * counts.sum()
    lit = (shown.max(axis=2) > 120).mean(axis=1) > 0.01
    assert lit.reshape(-1)[: len(lit) // 10 * 10].reshape(10, -1).any(axis=1).sum() >= 6


def np_unique_colours(shown: Any) -> Any:
    import numpy as np

    return np.unique(shown.reshape(-1, 3), axis=0, return_counts=True)
