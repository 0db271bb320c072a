"""Makes the picture in README: the real app on its embedded text, trained for a while.

python tests/benchmarks/picture.py docs/screen.svg [--seconds 75] [--size 100x30]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from corpus import DEFAULT_TEXT, CorpusOptions
from model.config import SamplingConfig
from model.presets import find_preset
from model.runs.request import RunRequest
from model.session.live import LiveSession
from tui.app.app import CharlmApp
from tui.config.screen_settings import ScreenSettings
from tui.export.screen_svg import without_foreign_fonts


def opened_app(
    preset_name: str, root: Path, *, temperature: float = 1.0
) -> tuple[LiveSession, CharlmApp]:
    """Returns a session that trains on the embedded text, and the app on it; neither has begun."""
    preset = find_preset(preset_name)
    request = RunRequest(
        corpus=DEFAULT_TEXT,
        corpus_options=CorpusOptions(),
        preset=preset.name,
        model=preset.model,
        training=preset.training,
        root=root,
    )
    sampling = SamplingConfig(temperature=temperature)
    session = LiveSession(request, sampling=sampling, rate=60.0, seed=1)
    settings = ScreenSettings(title=DEFAULT_TEXT, sampling=sampling, root=root)
    return session, CharlmApp(session, settings)


async def picture(seconds: float, columns: int, rows: int, folder: Path) -> str:
    """Returns an SVG of the app after so many seconds."""
    session, app = opened_app("balanced", folder)
    async with app.run_test(size=(columns, rows)) as pilot:
        await asyncio.sleep(seconds - 10)
        for key in ("minus",) * 8:
            await pilot.press(key)
        await asyncio.sleep(10)
        svg = app.export_screenshot(title="charlm-tui")
    session.close(save=False)
    return svg


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seconds", type=float, default=75.0)
    parser.add_argument("--size", default="100x30")
    arguments = parser.parse_args()
    columns, rows = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        svg = asyncio.run(picture(arguments.seconds, columns, rows, Path(folder)))
    arguments.path.write_text(without_foreign_fonts(svg), encoding="utf-8")


if __name__ == "__main__":
    main()
