"""How long a test waits for what must happen, and the ways to wait for it.

There is one limit for all tests, and it is generous: a machine that does other work meanwhile is
slow, which proves nothing. A wait that is met returns at once, so only a fault takes so long.
A rule about time is tested with a clock that the test moves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

PATIENCE = 300.0
"""Seconds that a test waits for anything; `timeout` in pyproject.toml, for a test, is more."""
_PAUSE = 0.005
"""Seconds between two looks."""


def moments(why: str = "", *, pause: float = _PAUSE) -> Iterator[None]:
    """Yields again and again, and fails when the patience is at its end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        yield
        assert time.monotonic() < deadline, in_vain(why)
        time.sleep(pause)


def wait_until(met: Callable[[], object], why: str = "") -> None:
    """Returns as soon as the condition holds."""
    for _ in moments(why):
        if met():
            return


async def moments_of_a_loop(why: str = "") -> AsyncIterator[None]:
    """Yields again and again, letting the event loop work meanwhile, and fails likewise."""
    deadline = time.monotonic() + PATIENCE
    while True:
        yield
        assert time.monotonic() < deadline, in_vain(why)
        await asyncio.sleep(_PAUSE)


async def until(met: Callable[[], object], why: str = "") -> None:
    """Returns as soon as the condition holds, and lets the event loop work meanwhile."""
    async for _ in moments_of_a_loop(why):
        if met():
            return


def in_vain(why: str) -> str:
    """Returns what a wait without success says."""
    return f"waited {PATIENCE:g} s in vain{why and ' for '}{why}"
