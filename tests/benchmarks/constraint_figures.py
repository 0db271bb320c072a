"""Measures the table of docs/constraints.md, and makes its picture.

    python tests/benchmarks/constraint_figures.py CHECKPOINT [--lines 40] [--picture docs/views]

For each constraint: how many of 64 drafts fit (the median over lines, with the quartiles), in how
many lines none fits, the cost in bits, and the seconds that a line takes, by the clock and of the
processor. With ``--picture``, instead writes constraints.svg of the app. Not a test: it passes no
judgement.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the program itself

from ladder_figures import processor

from model.config import SamplingConfig
from model.constraint_config import Constraints, read_constraints
from model.runs.checkpoint_file import read_checkpoint
from model.sampling.stream import CharacterStream
from model.session.live import LiveSession, SavedWeights
from tui.app.app import CharlmApp
from tui.config.screen_settings import ScreenSettings
from tui.export.screen_svg import without_foreign_fonts

TEMPERATURE = 0.7
WRITING_SECONDS = 14.0
CASES: tuple[dict[str, str], ...] = (
    {"forbid": "e"},
    {"line_matches": "^[^eE]*$"},
    {"allow": "aeioulnrst"},
    {"line_length": "32-40"},
    {"line_length": "60-72"},
    {"forbid": "e", "line_length": "60-72"},
    {"acrostic": "nietzsche"},
    {"line_matches": "^[^,;]*$"},
    {"syllables": "19-21"},
    {"rhyme": "ABAB"},
    {"rhyme": "AABB", "line_length": "60-72"},
)


def row(path: Path, words: dict[str, str], lines: int) -> str:
    """Returns the row of a table: a constraint and its figures over some lines."""
    weights = read_checkpoint(path).published()
    stream = CharacterStream(
        weights.snapshot,
        weights.vocabulary,
        sampling=SamplingConfig(temperature=TEMPERATURE),
        seed=1,
        candidates=0,
    )
    stream.constrain(read_constraints(words))
    kept, costs, masks, seconds, processor_seconds = [], [], [], [], []
    for _ in range(lines):
        began, worked = time.perf_counter(), time.process_time()
        while (written := stream.step()).character != "\n":
            masks.append(written.mask_bits or 0.0)
        seconds.append(time.perf_counter() - began)
        processor_seconds.append(time.process_time() - worked)
        drafted = stream.take_drafted()
        if drafted is not None:
            kept.append(drafted.kept)
            costs += [] if drafted.cost is None else [drafted.cost]
    stream.close()
    name = " ".join(f"`--{key.replace('_', '-')} {value}`" for key, value in words.items())
    fits, none = "", ""
    if kept:
        low, middle, high = statistics.quantiles(kept, n=4)
        fits, none = f"{middle:.0f} ({low:.0f} to {high:.0f})", f"{kept.count(0)} of {len(kept)}"
    mask = f"{statistics.fmean(masks):+.2f}" if any(masks) else ""
    cost = f"{statistics.fmean(costs):+.2f}" if costs else ""
    took = f"{statistics.median(seconds):.2f} | {statistics.median(processor_seconds):.2f}"
    return f"| {name} | {fits} | {none} | {mask} | {cost} | {took} |"


async def picture(path: Path, constraints: Constraints) -> str:
    """Lets the model write for a while; returns an SVG of the screen of 80x24."""
    sampling = SamplingConfig(temperature=TEMPERATURE)
    session = LiveSession(
        SavedWeights(path=path), sampling=sampling, rate=30.0, seed=7, constraints=constraints
    )
    settings = ScreenSettings(
        title="nietzsche", sampling=sampling, trains=False, constraints=constraints
    )
    app = CharlmApp(session, settings)
    async with app.run_test(size=(80, 24)) as pilot:
        await asyncio.sleep(WRITING_SECONDS)
        await pilot.press("space", "1", "2")
        await asyncio.sleep(1.0)
        app.clear_notifications()
        await pilot.pause()
        svg = without_foreign_fonts(app.export_screenshot(title="charlm-tui"))
    session.close()
    return svg


def main() -> None:
    """Prints the table, or writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    if arguments.picture is not None:
        constraints = read_constraints({"acrostic": "truth", "forbid": "e", "line_length": "40-72"})
        svg = asyncio.run(picture(arguments.checkpoint, constraints))
        (arguments.picture / "constraints.svg").write_text(svg, encoding="utf-8")
        return
    print(f"{processor()}, {time.strftime('%Y-%m-%d')}\n")
    print("| constraint | kept of 64 | none fits | mask, bits | line, bits | seconds | processor |")
    print("|---|---|---|---|---|---|---|")
    for words in CASES:
        print(row(arguments.checkpoint, words, arguments.lines), flush=True)


if __name__ == "__main__":
    main()
