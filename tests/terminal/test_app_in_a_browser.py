"""``serve``: the app on a page, of this machine alone, that saves when the page goes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE, until
from ports import free_port
from slow_cases import slowly
from terminal_harness import (
    PROGRAM,
    TINY,
    assert_saved_at_the_end,
    is_alive,
    make_environment,
    make_words,
)

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")

from served import (  # noqa: E402 - an extra
    Served,
    read_until,
    serving,
    training_pages,
)

pytestmark = pytest.mark.terminal
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux_only
def test_the_app_saves_and_ends_when_its_page_is_closed(tmp_path: Path) -> None:
    async def visit(server: Served) -> None:
        async with aiohttp.ClientSession(headers=server.cookie) as client:
            async with client.ws_connect(f"{server.base}/ws?width=90&height=30") as page:
                await read_until(page, b"TRAINING")
                (app,) = server.children()
            await until(lambda: not is_alive(app), "the end of the app")
            assert server.process.poll() is None

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)


@linux_only
@pytest.mark.parametrize("number", slowly([signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]))
def test_a_signal_ends_the_server_after_every_app_has_saved(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def visit(server: Served) -> None:
        async with (
            aiohttp.ClientSession(headers=server.cookie) as client,
            client.ws_connect(f"{server.base}/ws") as page,
        ):
            await read_until(page, b"TRAINING")
            (app,) = server.children()
            server.process.send_signal(number)
            while (await page.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
            await until(lambda: server.process.poll() is not None, "the end of the server")
            assert not is_alive(app)

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))
        assert server.process.returncode == 128 + number
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)


def test_pages_from_elsewhere_are_turned_away(tmp_path: Path) -> None:
    """Another port of this machine is elsewhere: another account may serve a page there."""

    async def visit(server: Served) -> None:
        origins = ("http://evil.example", f"http://127.0.0.1:{server.port - 1}", "http://127.0.0.1")
        foreign = [{"Origin": origin} for origin in origins]
        async with aiohttp.ClientSession(headers=server.cookie) as client:
            for path in ("/", "/ws"):
                for headers in (*foreign, {"Host": "evil.example"}):
                    async with client.get(server.base + path, headers=headers) as refused:
                        assert refused.status == 403
            async with client.get(server.base, headers={"Origin": server.base}) as page:
                assert page.status == 200

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))


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
        (["--max-pages", "0"], 2, "--max-pages"),
        (["--public-url", "class.example"], 2, "--public-url: 'class.example' is not the address"),
        (["--public-url", "https://x@class.example/"], 2, "--public-url"),
        (["--public-url", "http://class.example:port/"], 2, "--public-url"),
        (["--read-only", "no-such-run"], 4, "no such run"),
        (["--read-only", "watch", "no-such-run"], 4, "no such run"),
        (["--read-only", "--preset", "quick"], 2, "--preset"),
        (["watch", "no-such-run"], 4, "no such run"),
        (["watch", "--rate", "0"], 2, "rate"),
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


@linux_only
def test_a_server_for_other_machines_prints_a_link_that_opens(tmp_path: Path) -> None:
    """C22, and B3: a name that somebody points at this machine gets nothing there either."""

    async def visit(server: Served) -> None:
        found = re.findall(r"http://[^ ]+", server.said)
        assert found
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
            for link in found:
                async with client.get(link) as page:
                    assert page.status == 200
                    assert "page.js" in await page.text()
                for host in ("evil.example", f"evil.example:{server.port}", "192.0.2.1"):
                    async with client.get(link, headers={"Host": host}) as page:
                        assert page.status == 403

    with training_pages(tmp_path, "--host", "0.0.0.0", "--allow-remote") as server:
        asyncio.run(visit(server))


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


def chromium_pages(folder: Path) -> Any:
    """Returns what opens a page of a browser; skips where there is none."""
    from browser import CHROMIUM, opened_page

    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    return opened_page(folder / "chromium")


def events_of(home: Path) -> str:
    return "".join(path.read_text() for path in home.glob("runs/*/metrics.jsonl"))


def test_a_browser_shows_the_app_and_its_keys_work(tmp_path: Path) -> None:
    async def visit(server: Served) -> bytes:
        async with chromium_pages(tmp_path) as page:
            await page.ask("Page.navigate", url=server.link)
            await page.wait_for_class("-first-byte")
            assert await page.evaluate("location.href") == f"{server.base}/"
            await until(lambda: "validation" in events_of(tmp_path), "the training")
            picture: bytes = await page.picture()
            assert "finished" not in events_of(tmp_path)
            await page.type("e")
            await until(lambda: "finished" in events_of(tmp_path), "the key's effect")
            return picture

    with training_pages(tmp_path) as server:
        picture = asyncio.run(visit(server))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 128 + signal.SIGTERM
    from browser import pixels

    Path(os.environ.get("CHARLM_BROWSER_PICTURE", tmp_path / "page.png")).write_bytes(picture)
    shown = pixels(picture)[..., :3]
    assert shown.shape[:2] >= (500, 900)
    colours, counts = np_unique_colours(shown)
    assert len(colours) > 50  # smoothed letters in several colours, and not one message alone
    assert counts.max() < 0.97 * counts.sum()
    lit = (shown.max(axis=2) > 120).mean(axis=1) > 0.01
    assert lit.reshape(-1)[: len(lit) // 10 * 10].reshape(10, -1).any(axis=1).sum() >= 6


@linux_only
def test_a_browser_without_the_link_sees_one_line(tmp_path: Path) -> None:
    async def visit(server: Served) -> None:
        async with chromium_pages(tmp_path) as page:
            await page.ask("Page.navigate", url=server.base)
            await page.wait_for("location.search === '?again'")  # it has tried again, once
            await page.wait_for("document.body.innerText.includes('needs the link')")
            assert not server.children()

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))


@linux_only
def test_a_link_on_another_site_opens_the_page(tmp_path: Path) -> None:
    """B3: a cookie with SameSite=Strict stays at home when a foreign page leads to ours."""

    async def visit(server: Served) -> None:
        async with chromium_pages(tmp_path) as page:
            link = server.link.replace("127.0.0.1", "localhost")
            other = tmp_path / "other.html"
            other.write_text(f'<a id="link" href="{link}">the class</a>')
            await page.ask("Page.navigate", url=other.as_uri())
            await page.wait_for("document.getElementById('link') !== null")
            await page.evaluate("document.getElementById('link').click()")
            await page.wait_for_class("-first-byte")
            assert await page.evaluate("location.href") == f"http://localhost:{server.port}/"

    with training_pages(tmp_path) as server:
        asyncio.run(visit(server))


@linux_only
def test_a_page_behind_a_proxy_with_a_path_works(tmp_path: Path) -> None:
    """C22: the page makes the address of its WebSocket from its own."""
    from path_proxy import proxy_under

    async def visit(server: Served, port: int) -> None:
        async with proxy_under("/class/room", port, server.port), chromium_pages(tmp_path) as page:
            address = f"http://127.0.0.1:{port}/class/room/"
            assert server.said.startswith(f"charlm-tui: open {address}?token=")
            await page.ask("Page.navigate", url=f"{address}?token={server.token}")
            await page.wait_for_class("-first-byte")
            assert await page.evaluate("location.href") == address
            await until(server.children, "the app")

    port = free_port()
    url = f"http://127.0.0.1:{port}/class/room/"
    with training_pages(tmp_path, "--public-url", url) as server:
        asyncio.run(visit(server, port))


@linux_only
def test_spectators_watch_one_run_and_change_nothing(tmp_path: Path) -> None:
    """Two pages of `--read-only`: no training of their own, no file, no deleted run."""
    from browser import CHROMIUM

    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    trained = subprocess.run(
        [PROGRAM, "train", "words.txt", *TINY, "--run", "class", "--epochs", "1"],
        cwd=prepared(tmp_path),
        env=make_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert trained.returncode == 0, trained.stderr

    async def visit(server: Served) -> None:
        before = files_under(tmp_path, "chromium")
        async with (
            chromium_pages(tmp_path) as page,
            aiohttp.ClientSession(headers=server.cookie) as client,
            client.ws_connect(f"{server.base}/ws") as other,
        ):
            await page.ask("Page.navigate", url=server.link)
            await page.wait_for_class("-first-byte")
            await read_until(other, b"DONE")
            await page.type("wfFgspeo")
            for keys in ("wfFgspeo", "\x1b[24~", "\x1a"):
                await other.send_str(json.dumps(["stdin", keys]))
            await other.send_str(json.dumps(["stdin", "?"]))
            help_page = await read_until(other, b"Esc closes")
            assert b"checkpoint now" not in help_page
            assert len(server.children()) == 2
        assert files_under(tmp_path, "chromium") == before

    with serving(tmp_path, "--read-only", "class") as server:
        asyncio.run(visit(server))


def prepared(home: Path) -> Path:
    (home / "words.txt").write_text(make_words(6000))
    return home


def files_under(home: Path, but: str) -> dict[str, bytes]:
    """Returns the files under a folder with what they hold; caches are nobody's text."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.relative_to(home).parts[0] not in {but, "cache"}
    }


def np_unique_colours(shown: Any) -> Any:
    import numpy as np

    return np.unique(shown.reshape(-1, 3), axis=0, return_counts=True)
