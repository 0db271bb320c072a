"""Makes the picture of docs/two-authors.md: a model of prose and a model of code write one text.

python tests/benchmarks/two_authors_picture.py docs/views [--seconds 60] [--size 100x30]
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from view_pictures import read_arguments

from model.config import SamplingConfig
from model.session.live import LiveSession, SavedWeights
from tui.app.app import CharlmApp
from tui.cli.saved_models import best_checkpoint
from tui.config.screen_settings import ScreenSettings
from tui.export.screen_svg import without_foreign_fonts

TEXTS = ("python-prose", "python-source")
WRITING_SECONDS = 14.0


def train(text: str, seconds: float, root: Path) -> Path:
    """Trains a run on a built-in text; returns the checkpoint to write with."""
    words = [sys.executable, "-P", "-m", "tui", "train", text, "--run", text, "--preset", "quick"]
    words += ["--minutes", f"{seconds / 60:g}", "--checkpoints", str(root), "--seed", "1"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return best_checkpoint(root / text)


async def picture(first: Path, second: Path, columns: int, rows: int) -> str:
    """Lets both models write for a while, moves the weight, and returns an SVG of the screen."""
    sampling = SamplingConfig(temperature=0.6)
    work = SavedWeights(path=first, second=second)
    session = LiveSession(work, sampling=sampling, rate=60.0, seed=4)
    settings = ScreenSettings(
        title=TEXTS[0], sampling=sampling, root=first.parent.parent, trains=False, two_authors=True
    )
    app = CharlmApp(session, settings)
    async with app.run_test(size=(columns, rows)) as pilot:
        await asyncio.sleep(WRITING_SECONDS)
        await pilot.press("}", "}")
        await asyncio.sleep(1.0)
        app.clear_notifications()
        await pilot.press("space")
        await asyncio.sleep(1.0)
        svg = without_foreign_fonts(app.export_screenshot(title="charlm-tui"))
    session.close()
    return svg


def main() -> None:
    """Writes the picture."""
    folder, seconds, columns, rows = read_arguments(__doc__, seconds=60.0)
    with tempfile.TemporaryDirectory() as root:
        first, second = (train(text, seconds, Path(root)) for text in TEXTS)
        svg = asyncio.run(picture(first, second, columns, rows))
    (folder / "two-authors.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
