"""Measures the table of docs/page.md in a headless Chromium, and makes the document's picture.

    python tests/benchmarks/page_figures.py TEXT docs/views/page.png [--minutes 1] [--runs FOLDER]

For an LSTM(256) and an LSTM(512) that were trained on the text: the size of the page, the speed of
one lane and of four (the median of five seconds), and how many characters agree with `generate`
before the first other one. With `--runs` the networks of an earlier call are used. Not a test: it
passes no judgement.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ladder_figures import processor
from PIL import Image

from model.config import SamplingConfig
from model.runs.checkpoint import Checkpoint
from model.runs.folder import RunFolder
from model.sampling.sampler import Sampler
from tui.page.page import page_of

sys.path.append(str(Path(__file__).parents[1] / "support"))
from browser import Page, opened_page

HIDDEN = (256, 512)
SECONDS = 5
CHARACTERS = 1000
TEXTS = ((0.0, 1), (0.7, 1), (0.7, 2), (0.7, 3), (1.0, 4))
"""Temperature and seed of each text that is compared; the first one is greedy."""
WIDTH, HEIGHT = 1000, 640


def trained(text: str, hidden: int, minutes: float, root: Path) -> Checkpoint:
    """Returns the best weights of a run, which is trained unless it is there."""
    name = f"lstm{hidden}"
    if not (root / name).is_dir():
        words = [sys.executable, "-P", "-m", "tui", "train", text, "--run", name, "--seed", "1"]
        words += ["--hidden", str(hidden), "--minutes", str(minutes), "--checkpoints", str(root)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return RunFolder.find(root, name).checkpoints.load_best(print)


def generated(checkpoint: Checkpoint, temperature: float, seed: int) -> str:
    """Returns what `generate` writes."""
    weights, text = checkpoint.published(), ""
    sampling = SamplingConfig(temperature=temperature)
    with closing(
        Sampler(weights.snapshot, weights.vocabulary, sampling=sampling, seeds=[seed])
    ) as sampler:
        while len(text) < CHARACTERS:
            text += weights.vocabulary.decode(sampler.write(CHARACTERS - len(text))[0][:, 0])
    return text


def agreeing(one: str, other: str) -> int:
    """Returns how many characters two texts share at their start."""
    return next((i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), len(other))


async def rate(page: Page) -> float:
    """Returns the characters a second of each lane: the median of some seconds."""
    moment = "[performance.now(), lanes[0].count]"
    await page.evaluate("at('pace').value = '100000'; at('restart').click()")
    rates: list[float] = []
    before = await page.evaluate(moment)
    while len(rates) < SECONDS:
        await asyncio.sleep(1)
        now = await page.evaluate(moment)
        rates.append(1000 * (now[1] - before[1]) / (now[0] - before[0]))
        before = now
    return statistics.median(rates)


async def written(page: Page, temperature: float, seed: int) -> str:
    """Returns what the page writes at full pace."""
    await page.evaluate(
        f"at('seed').value = {seed}; lanes[0].slider.value = {temperature}; at('restart').click()"
    )
    await page.wait_for(f"lanes[0].count >= {CHARACTERS}")
    text: str = await page.evaluate("lanes[0].written")
    return text[:CHARACTERS]


async def take_picture(page: Page, path: Path) -> None:
    """Pictures four lanes after some lines."""
    await page.evaluate("at('pace').value = '60'; at('seed').value = '5'; at('restart').click()")
    await page.wait_for("lanes[0].count >= 420")
    await page.evaluate("hold(true)")
    await asyncio.to_thread(save_small, await page.picture(), path)


def save_small(png: bytes, path: Path) -> None:
    """Saves a picture with a palette, which takes a third of the bytes."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(64).save(path, optimize=True)


async def measure(checkpoints: Sequence[Checkpoint], picture: Path, folder: Path) -> None:
    """Prints the table, a row for each network, and makes the picture of the first one."""
    print("| network | size of the page | one lane | each of four lanes | agree with `generate` |")
    print("|---|---|---|---|---|")
    async with opened_page(folder / "chromium") as page:
        await page.ask(
            "Emulation.setDeviceMetricsOverride",
            width=WIDTH,
            height=HEIGHT,
            deviceScaleFactor=1,
            mobile=False,
        )
        for number, checkpoint in enumerate(checkpoints):
            content = page_of(checkpoint).encode()
            path = folder / f"{number}.html"
            await asyncio.to_thread(path.write_bytes, content)
            await page.ask("Page.navigate", url=path.as_uri())
            await page.wait_for(f"location.href === '{path.as_uri()}' && at('lanes').firstChild")
            one = await rate(page)
            agree = [
                agreeing(await written(page, *each), generated(checkpoint, *each)) for each in TEXTS
            ]
            await page.evaluate("at('four').click()")
            four = await rate(page)
            print(
                f"| LSTM({checkpoint.metadata.model.hidden}) | {len(content) / 1e6:.2f} MB "
                f"| {one:,.0f} a second | {four:,.0f} a second | {', '.join(map(str, agree))} |"
            )
            if number == 0:
                await take_picture(page, picture)


def main() -> None:
    """Measures what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--runs", type=Path)
    given = parser.parse_args()
    print(f"{processor()}, {datetime.now(UTC):%Y-%m-%d}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        root = given.runs or folder / "runs"
        checkpoints = [trained(given.text, hidden, given.minutes, root) for hidden in HIDDEN]
        asyncio.run(measure(checkpoints, given.picture, folder))


if __name__ == "__main__":
    main()
