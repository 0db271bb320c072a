"""Serves the app on a free port, as a person would, and knows the link that was printed."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from patience import PATIENCE
from ports import free_port
from terminal_harness import LONG, PROGRAM, make_environment, make_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server at work."""

    process: subprocess.Popen[str]
    port: int
    said: str
    """The line that it printed first."""

    @property
    def base(self) -> str:
        """The address without its token."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        """The address with its token."""
        return f"{self.base}/?token={self.token}"

    @property
    def token(self) -> str:
        found = re.search(r"\?token=([\w-]+)", self.said)
        assert found is not None, self.said
        return found[1]

    @property
    def cookie(self) -> dict[str, str]:
        """The header that a browser sends once it has opened the link."""
        return {"Cookie": f"charlm-tui-{self.port}={self.token}"}

    def children(self) -> list[int]:
        """Returns the processes behind the pages."""
        number = self.process.pid
        found = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii")
        return [int(child) for child in found.split()]


@contextmanager
def serving(
    home: Path, *arguments: str, folder: Path | None = None, **environment: str
) -> Iterator[Served]:
    """Serves on a free port; a server that is still there at the end is killed."""
    port = free_port()
    process = subprocess.Popen(
        [PROGRAM, "serve", "--port", str(port), *arguments],
        env=make_environment(home, **environment),
        cwd=folder or home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        while said and "open http" not in said:
            said = process.stdout.readline()
        yield Served(process=process, port=port, said=said)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


@contextmanager
def training_pages(home: Path, *options: str) -> Iterator[Served]:
    """Serves pages that train a tiny network for half an hour; `options` are those of `serve`."""
    (home / "a text.txt").write_text(make_words(6000))
    with serving(home, *options, "a text.txt", *LONG) as server:
        yield server


async def read_until(page: Any, words: bytes) -> bytes:
    """Takes in what the page is told until the words are among it."""
    found = b""
    async with asyncio.timeout(PATIENCE):
        while words not in found:
            message = await page.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, (message, found[-500:])
            found += message.data
    return found
