"""`serve` on a shared machine: another account, a foreign page, and a page that says nonsense.

B3 and B4: each attack goes over the loopback address to a real server with real processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from canaries import lay_out_canaries
from patience import PATIENCE, moments, until
from slow_cases import slowly
from terminal_harness import (
    assert_saved_at_the_end,
    checkpoint_steps,
    is_alive,
)

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")

from served import Served, read_until, training_pages  # noqa: E402

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


async def status_of(client: Any, address: str, **headers: str) -> tuple[int, str]:
    async with client.get(address, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text(errors="replace")


def test_nothing_is_answered_without_the_token_and_no_process_starts(tmp_path: Path) -> None:
    """B3: another account of this machine, or a page from elsewhere, gets a line and no more."""

    async def visit(server: Served) -> None:
        own, cookie = server.base, server.cookie["Cookie"]
        other_port = server.port - 1
        wrong = cookie[:-1] + ("a" if cookie[-1] != "a" else "b")
        attacks: tuple[dict[str, str], ...] = (
            {},
            {"Cookie": wrong},
            {"Cookie": cookie[:-1]},
            {"Cookie": cookie.partition("=")[0] + "="},
            {"Cookie": cookie.replace(str(server.port), str(other_port))},
            {"Cookie": cookie, "Origin": "http://evil.example"},
            {"Cookie": cookie, "Origin": f"http://127.0.0.1:{other_port}"},
            {"Cookie": cookie, "Origin": "http://127.0.0.1"},
            {"Cookie": cookie, "Origin": f"http://localhost:{server.port}"},
            {"Cookie": cookie, "Origin": "null"},
            {"Cookie": cookie, "Host": "evil.example"},
            {"Cookie": cookie, "Host": f"evil.example:{server.port}"},
            {"Cookie": cookie, "Host": "192.0.2.7"},
            {"Cookie": cookie, "Host": "[::1"},
            {"Cookie": cookie, "Host": f"x@127.0.0.1:{server.port}"},
            {"Cookie": cookie, "Host": "127.0.0.1:port"},
            {"Cookie": cookie, "Host": f"127.0.0.1.evil.example:{server.port}"},
        )
        async with aiohttp.ClientSession() as client:
            for path in ("/", "/page.js", "/static/js/textual.js", "/ws", "/nothing"):
                for headers in attacks:
                    status, text = await status_of(client, own + path, **headers)
                    assert status == 403, (path, headers)
                    assert len(text.splitlines()) == 1
            for headers in attacks:
                with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                    await client.ws_connect(f"{own}/ws", headers=headers)
            for query in ("?token=", "?token=x", f"?token={server.token}x", "?token=%ff%ed"):
                status, text = await status_of(client, f"{own}/{query}")
                assert (status, "the link with the token" in text) == (403, True)
            status, _ = await status_of(client, f"{own}/?token={server.token}", Host="evil.example")
            assert status == 403

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        assert not server.children()
        assert not checkpoint_steps(tmp_path / "runs")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 128 + signal.SIGTERM


def test_the_link_gives_a_cookie_and_leaves_the_address(tmp_path: Path) -> None:
    """C22: every link of the page is relative, so that a proxy may stand in front."""

    async def visit(server: Served) -> None:
        assert len(server.token) >= 40
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as client:
            link = f"{server.base}/?token={server.token}"
            async with client.get(link, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "./")
                cookie = answer.headers["Set-Cookie"]
            for word in ("HttpOnly", "SameSite=Strict", "Path=/", f"charlm-tui-{server.port}="):
                assert word in cookie
            async with client.get(server.base) as page:
                text = await page.text()
                assert page.status == 200
            assert 'data-font-size="16"' in text
            for foreign in ("http:", "https:", "ws:", "//", server.token, "127.0.0.1"):
                assert foreign not in text.replace("<!DOCTYPE", "")
            headers = page.headers
            assert headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "unsafe-inline" not in headers["Content-Security-Policy"].partition("style")[0]
            for path in ("page.js", "static/js/textual.js", "static/css/xterm.css"):
                assert (await status_of(client, f"{server.base}/{path}"))[0] == 200
            for path in ("static/", "static/../page_server.py", "static/%2e%2e/server.py"):
                assert (await status_of(client, f"{server.base}/{path}"))[0] in {403, 404}
            async with client.get(f"{link}&fontsize=20") as page:
                assert 'data-font-size="20"' in await page.text()
                assert "token" not in str(page.url)

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        assert not server.children()


NONSENSE = (
    *("", "{", "[" * 100_000, "null", "[]", "{}", "[[]]", '["stdin"]', '["stdin",5]', '["resize"]'),
    *('["resize",null]', '["resize",{"width":"80","height":"24"}]', '["resize",{"width":80}]'),
    *('["resize",{"width":1e400,"height":NaN}]', '["resize",{"width":true,"height":false}]'),
    *('["resize",[80,24]]', '["ping"]', '["ping",{}]', '["quit"]', '["exit"]', '["focus",1]'),
    '["ping","' + "x" * 1000 + '"]',
    '["resize",{"width":' + "9" * 5000 + ',"height":24}]',
    '["stdin","\\ud800\\u0000\\u001b[<999999;999999;999999M\\u001b[8;99999;99999t"]',
    '["stdin","\\u001b[48;99999;99999;99999;99999t"]',
)
SIZES = ((100_000, 30_000), (0, 0), (-5, 10**18), (1000, 500), (1, 1), (2**63, 2**63))


@pytest.mark.parametrize(
    "query",
    [
        "?width=-1&height=x",
        pytest.param("?width=20000&height=3000", marks=pytest.mark.slow),
    ],
)
def test_no_message_of_a_page_harms_its_process(tmp_path: Path, query: str) -> None:
    """B4: sizes, shapes, JSON and bytes of any kind; the run is saved when the page closes."""

    async def visit(server: Served) -> None:
        async with aiohttp.ClientSession(headers=server.cookie) as client:
            async with client.ws_connect(f"{server.base}/ws{query}") as page:
                await until(server.children, "the process")
                (app,) = server.children()
                for message in NONSENSE:
                    await page.send_str(message)
                await page.send_bytes(b"\xff" * 10_000)
                for width, height in SIZES:
                    size = {"width": width, "height": height}
                    await page.send_str(json.dumps(["resize", size]))
                await page.send_str(json.dumps(["resize", {"width": 90, "height": 30}]))
                await page.send_str(json.dumps(["ping", "still there"]))
                await read_until_pong(page, "still there")
                await read_until(page, b"TRAINING")
                assert server.children() == [app], "the same process all along"
                assert memory_of(app) < 1 << 30
            await until(lambda: not is_alive(app), "the end of the app")

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)
        server.process.send_signal(signal.SIGTERM)
        out, _ = server.process.communicate(timeout=PATIENCE)
        assert "Traceback" not in out
        assert "defect" not in out


async def read_until_pong(page: Any, word: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await page.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                assert json.loads(message.data) == ["pong", word]
                return
            assert message.type is aiohttp.WSMsgType.BINARY, message


def memory_of(process: int) -> int:
    """Returns the bytes of memory that a process has used at most."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_a_message_that_is_too_long_closes_the_page_and_the_run_is_saved(tmp_path: Path) -> None:
    async def visit(server: Served) -> None:
        async with (
            aiohttp.ClientSession(headers=server.cookie) as client,
            client.ws_connect(f"{server.base}/ws") as page,
        ):
            await read_until(page, b"TRAINING")
            (app,) = server.children()
            with contextlib.suppress(ConnectionError):
                await page.send_str(json.dumps(["stdin", "x" * (5 << 20)]))
            await until(lambda: not is_alive(app), "the end of the app")

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)
        assert server.process.poll() is None


def test_sigterm_to_a_page_process_saves(tmp_path: Path) -> None:
    """B4: the guard keeps the signal under the driver of a page, too."""

    async def visit(server: Served) -> None:
        async with (
            aiohttp.ClientSession(headers=server.cookie) as client,
            client.ws_connect(f"{server.base}/ws") as page,
        ):
            await read_until(page, b"TRAINING")
            (app,) = server.children()
            os.kill(app, signal.SIGTERM)
            while (await page.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
            await until(lambda: not is_alive(app), "the end of the app")

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)
        server.process.send_signal(signal.SIGTERM)
        out, _ = server.process.communicate(timeout=PATIENCE)
        assert "a page's program ended with status 143" in out


@pytest.mark.parametrize("ignores_hang_up", slowly([False, True]))
def test_a_server_that_is_killed_leaves_saved_runs(
    tmp_path: Path, *, ignores_hang_up: bool
) -> None:
    """B5: the processes of its pages notice, save and end; under nohup, too."""

    async def visit(server: Served) -> list[int]:
        async with (
            aiohttp.ClientSession(headers=server.cookie) as client,
            client.ws_connect(f"{server.base}/ws") as page,
        ):
            await read_until(page, b"TRAINING")
            apps = server.children()
            server.process.kill()
            for app in apps:
                await until(lambda app=app: not is_alive(app), "the end of the app")  # type: ignore[misc]
            return apps

    before = signal.getsignal(signal.SIGHUP)
    try:
        if ignores_hang_up:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with training_pages(tmp_path) as server:
            assert len(asyncio.run(visit(server))) == 1
    finally:
        signal.signal(signal.SIGHUP, before)
    assert_saved_at_the_end(tmp_path / "runs", at_least=1)


async def place_for_a_page(client: Any, server: Served) -> None:
    """Waits until another page may open: one counts until the server knows of its end."""
    for _ in moments("a place for a page"):
        if (await status_of(client, server.base))[0] != 503:
            return


def test_pages_are_bounded_and_said_so(tmp_path: Path) -> None:
    async def visit(server: Served) -> None:
        async with aiohttp.ClientSession(headers=server.cookie) as client:
            async with client.ws_connect(f"{server.base}/ws") as page:
                await read_until(page, b"\x1b[?1049h")
                for path in ("/", "/ws"):
                    status, text = await status_of(client, server.base + path)
                    assert (status, "number of pages is open (1, --max-pages)" in text) == (
                        503,
                        True,
                    )
                with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                    await client.ws_connect(f"{server.base}/ws")
                assert len(server.children()) == 1
            await until(lambda: not server.children(), "the end of the app")
            for _ in range(5):
                await place_for_a_page(client, server)
                async with client.ws_connect(f"{server.base}/ws"):
                    pass
                await until(lambda: not server.children(), "the end of the app")
            await place_for_a_page(client, server)
            status, text = await status_of(client, server.base)
            assert (status, "Too many pages" in text) == (429, True)

    with training_pages(tmp_path, "--max-pages", "1") as server:
        asyncio.run(visit(server))


def test_many_connections_that_ask_for_nothing_are_turned_away(tmp_path: Path) -> None:
    async def visit(server: Served) -> None:
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
        try:
            await until(lambda: sum(map(is_closed, held)) >= 50, "those over the bound")
            await until(lambda: sum(map(is_closed, held)) == 300, "the silent ones")
            async with aiohttp.ClientSession(headers=server.cookie) as client:
                assert (await status_of(client, server.base))[0] == 200
        finally:
            for connection in held:
                connection.close()

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.communicate(timeout=PATIENCE)[0] == ""


def is_closed(connection: socket.socket) -> bool:
    """Tells whether the other end has closed a connection."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_garbage_on_the_port_is_no_traceback(tmp_path: Path) -> None:
    async def visit(server: Served) -> None:
        for data in (b"\x16\x03\x01garbage", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100_000, b"GET"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                await reader.read()
            writer.close()

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        server.process.send_signal(signal.SIGTERM)
        out = server.process.communicate(timeout=PATIENCE)[0]
        assert "Traceback" not in out
        assert len(out.splitlines()) <= 4


def test_a_page_is_served_from_a_folder_with_files_named_like_modules(tmp_path: Path) -> None:
    """C20."""
    mark = lay_out_canaries(tmp_path)

    async def visit(server: Served) -> None:
        async with (
            aiohttp.ClientSession(headers=server.cookie) as client,
            client.ws_connect(f"{server.base}/ws") as page,
        ):
            await read_until(page, b"TRAINING")

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
    assert not mark.exists()
