"""The page of `export --page`: in a headless Chromium, and written in a terminal."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from memorised import knowing
from model_fixtures import TINY_TRAINING, make_checkpoint
from terminal_harness import Terminal

from model.config import ModelConfig
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import write_checkpoint
from tui.cli.main import run
from tui.page.page import page_of

pytest.importorskip("aiohttp")

from browser import CHROMIUM, Page, opened_page

pytestmark = pytest.mark.terminal
with_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

HOSTILE = (
    "<img src=x onerror=document.title='owned'></script><script>document.title='owned'</script>"
)
CHARACTERS = 200


def in_a_browser(folder: Path, visit: Callable[[Page], Awaitable[None]]) -> None:
    async def visited() -> None:
        async with opened_page(folder / "chromium") as page:
            await visit(page)

    asyncio.run(visited())


def page_file(path: Path, checkpoint: Checkpoint) -> str:
    """Writes the page of a checkpoint; returns its address."""
    path.write_text(page_of(checkpoint), encoding="utf-8")
    return path.as_uri()


async def open_page(page: Page, address: str) -> None:
    await page.ask("Page.navigate", url=address)
    await page.wait_for(f"location.href === '{address}' && at('lanes').firstChild")


async def written(page: Page, temperature: float, seed: int) -> Any:
    """Sets the controls as a hand would; returns what the page then writes."""
    await page.evaluate(
        f"at('pace').value = '100000'; at('seed').value = '{seed}';"
        f"lanes[0].slider.value = {temperature}; at('restart').click()"
    )
    await page.wait_for(f"lanes[0].count >= {CHARACTERS}")
    texts = await page.evaluate("[lanes[0].written, lanes[0].text.textContent]")
    return [text[:CHARACTERS] for text in texts]


SHAPES = {
    "embedding": (ModelConfig(hidden=12, embedding=5), TINY_TRAINING),
    "two-layers": (ModelConfig(hidden=9, layers=2, embedding=0), TINY_TRAINING),
    "normalised": (ModelConfig(network="rms-lstm", hidden=7, layers=2, embedding=3), TINY_TRAINING),
    "window": (
        ModelConfig(hidden=8, embedding=4),
        dataclasses.replace(TINY_TRAINING, scoring="last", sequence=7),
    ),
}


@with_chromium
def test_the_page_writes_the_text_of_generate_for_the_same_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    knows = knowing("It was the best of times, it was the worst of times. ")

    async def visit(page: Page) -> None:
        made = {name: make_checkpoint(model=m, training=t) for name, (m, t) in SHAPES.items()}
        for name, checkpoint in {**made, "greedy": knows}.items():
            saved = tmp_path / f"{name}.safetensors"
            write_checkpoint(saved, checkpoint)
            await open_page(page, page_file(tmp_path / f"{name}.html", checkpoint))
            for temperature, seed in ((0, 1), (0.8, 2**63 - 1), (1.5, 7)):
                words = ["generate", "--checkpoint", str(saved), "--length", str(CHARACTERS)]
                words += ["--temperature", str(temperature), "--seed", str(seed)]
                assert run(words) == 0
                expected = capsys.readouterr().out[:CHARACTERS]
                assert await written(page, temperature, seed) == [expected, expected]
                if checkpoint is knows and temperature == 0:
                    assert expected.startswith("It was the best of times, it was the worst")

    in_a_browser(tmp_path, visit)


@with_chromium
def test_a_hostile_text_is_written_and_does_nothing(tmp_path: Path) -> None:
    async def visit(page: Page) -> None:
        title = f"{HOSTILE}: {HOSTILE}"
        checkpoint = knowing(HOSTILE, run=HOSTILE, corpus=HOSTILE)
        await open_page(page, page_file(tmp_path / "page.html", checkpoint))
        elements = "document.querySelectorAll('img, script, iframe, object, link').length"
        before = await page.evaluate(elements)
        await page.evaluate(f"at('prompt').value = {json.dumps(HOSTILE + '☃')}")
        await page.evaluate("at('prompt').dispatchEvent(new Event('change'))")
        note = await page.evaluate("at('note').textContent")
        assert note == "The network does not know ☃ (U+2603)."
        text, shown = await written(page, 0, 1)
        assert text == shown
        assert text.startswith(2 * HOSTILE)
        assert await page.evaluate(elements) == before == 2
        assert await page.evaluate("document.title") == title
        # The policy refuses requests, and markup made of strings.
        await page.evaluate(
            "addEventListener('securitypolicyviolation', (event) =>"
            " { at('note').textContent = event.effectiveDirective; });"
            "new Image().src = 'https://charlm.invalid/x.png'"
        )
        await page.wait_for("at('note').textContent === 'img-src'")
        refused = (
            "try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch (error) { error.name }"
        )
        assert await page.evaluate(refused) == "TypeError"

    in_a_browser(tmp_path, visit)


def test_a_key_in_a_terminal_writes_the_page_of_the_opened_weights(
    tmp_path: Path, open_app: Callable[..., Terminal]
) -> None:
    checkpoint = make_checkpoint(5)
    write_checkpoint(tmp_path / "tiny.safetensors", checkpoint)
    app = open_app("--checkpoint", "tiny.safetensors")
    app.wait_for_text("characters ·")
    app.send("P")
    app.wait_for_text("Wrote a page")
    (page,) = tmp_path.glob("*-page-1.html")
    assert page.read_text(encoding="utf-8") == page_of(checkpoint)
