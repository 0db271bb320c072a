"""A headless Chromium, told what to do over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
from patience import PATIENCE, moments_of_a_loop, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-port=0", "--window-size=1000,700", "about:blank"),
)


class RefusedError(Exception):
    """The browser did not carry a command out."""


class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Returns the answer to one command.

        Raises:
            RefusedError: If the browser does not carry the command out.
        """
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json(timeout=PATIENCE)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RefusedError(answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    async def evaluate(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression."""
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Waits until a JavaScript expression is true.

        A page that is left for another one refuses to evaluate anything, which is not an end.
        """
        async for _ in moments_of_a_loop(expression):
            with contextlib.suppress(RefusedError):
                if await self.evaluate(f"Boolean({expression})"):
                    return

    async def wait_for_class(self, name: str) -> None:
        """Waits until the page's body has a class."""
        await self.wait_for(f"document.body?.classList.contains('{name}')")

    async def type(self, text: str) -> None:
        """Types letters into the terminal of the page."""
        await self.evaluate("document.querySelector('.xterm-helper-textarea').focus()")
        for letter in text:
            for kind in ("keyDown", "keyUp"):
                await self.ask(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    text=letter if kind == "keyDown" else "",
                    key=letter,
                    code=f"Key{letter.upper()}",
                    windowsVirtualKeyCode=ord(letter.upper()),
                )

    async def picture(self) -> bytes:
        """Returns what the page looks like, as PNG."""
        answer = await self.ask("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


@asynccontextmanager
async def opened_page(folder: Path) -> AsyncIterator[Page]:
    """Starts a browser whose files are all under a folder, and ends it."""
    assert CHROMIUM is not None
    process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [CHROMIUM, f"--user-data-dir={folder}", *_FLAGS],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    )
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = await answer.json()
            address = next(page for page in pages if page["type"] == "page")["webSocketDebuggerUrl"]
            async with client.ws_connect(address, max_msg_size=1 << 26) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait(PATIENCE)


async def _port(path: Path) -> int:
    def told() -> int:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(path.read_text().splitlines()[0])
        return 0

    await until(told, "the browser")
    return told()


def pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """Returns the pixels of a PNG of 8 bits a channel, shape (height, width, channels)."""
    place, data = 8, b""
    width = height = channels = 0
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        kind, body = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8
            channels = {2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            data += body
        place += 12 + length
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    found = np.zeros((height, width * channels), np.uint8)
    before = np.zeros(width * channels, np.int64)
    for number, line in enumerate(lines):
        before = _unfiltered(int(line[0]), line[1:].astype(np.int64), before, channels)
        found[number] = before
    return found.reshape(height, width, channels)


def _unfiltered(
    kind: int, line: npt.NDArray[np.int64], above: npt.NDArray[np.int64], channels: int
) -> npt.NDArray[np.int64]:
    """Undoes one line's filter (PNG specification, section 9)."""
    if kind == 0:
        return line
    if kind == 2:
        return (line + above) % 256
    if kind == 1:
        return line.reshape(-1, channels).cumsum(axis=0).reshape(-1) % 256
    done = line.tolist()
    up = above.tolist()
    for x, value in enumerate(done):
        left = done[x - channels] if x >= channels else 0
        if kind == 3:
            guess = (left + up[x]) // 2
        else:
            corner = up[x - channels] if x >= channels else 0
            by_left, by_up = abs(up[x] - corner), abs(left - corner)
            by_corner = abs(left + up[x] - 2 * corner)
            if by_left <= by_up and by_left <= by_corner:
                guess = left
            else:
                guess = up[x] if by_up <= by_corner else corner
        done[x] = (value + guess) % 256
    return np.array(done, np.int64)
