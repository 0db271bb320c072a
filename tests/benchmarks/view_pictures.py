"""Makes a picture of each view for docs/views.md: the real app, training on its embedded text.

python tests/benchmarks/view_pictures.py docs/views [--seconds 45] [--size 100x30]
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
from tui.config.screen_settings import DEFAULT_THEME, ScreenSettings
from tui.config.themes import OKABE_ITO
from tui.export.curve_figure import curve_figure
from tui.export.curve_file import curve_bytes
from tui.export.screen_svg import without_foreign_fonts
from tui.view.chart_view import ChartView

VIEWS: dict[str, tuple[tuple[str, ...], float]] = {
    "training": (("0",), 2),
    "sampling": (("3", "k", "k", "k"), 3),
    "race": (("K", "K", "K", "3", "4", "m"), 8),
    "ladder": (("L", "1", "2"), 12),
    "growing-up": (("L", "4", "2", "1", "5", "left", "left"), 1),
    "events": (("5", "6", "m"), 1),
    "surprise": (("0", "1", "2", "c"), 6),
    "novelty": (("c",), 2),
    "unit": (("c", "h"), 8),
    "alternatives": (("c", "0", "a"), 2),
    "runs": (("escape", "space", "o"), 2),
    "prompt": (("escape", "i", "A", "é", "space", "\N{SNOWMAN}"), 1),
    OKABE_ITO.name: (("escape", "c"), 4),
    "help": (("c", "c", "c", "question_mark"), 1),
    # Two steps are skipped; the third one waits for a low temperature.
    "lesson": (("escape", "space", "S", *("enter",) * 4, *("left_square_bracket",) * 2), 8),
}
"""Keys that lead from each view to the next, and seconds until it is worth a picture."""


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


async def pictures(folder: Path, seconds: float, columns: int, rows: int, root: Path) -> None:
    """Goes through all views and writes an SVG of each."""
    session, app = opened_app("quick", root, temperature=0.6)
    async with app.run_test(size=(columns, rows)) as pilot:
        await asyncio.sleep(seconds)
        for name, (keys, pause) in VIEWS.items():
            app.theme = name if name == OKABE_ITO.name else DEFAULT_THEME
            for key in keys:
                await pilot.press(key)
                await asyncio.sleep(0.2)
            app.clear_notifications()
            await asyncio.sleep(pause)
            svg = without_foreign_fonts(app.export_screenshot(title="charlm-tui"))
            (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        figure = curve_figure(app.state, ChartView())
        assert figure is not None
        (folder / "curve.svg").write_bytes(curve_bytes(figure, "svg", dark=False))
    session.close(save=False)


def read_arguments(about: str | None, seconds: float = 45.0) -> tuple[Path, float, int, int]:
    """Returns a picture's folder, which it makes, seconds of training, columns and rows.

    Args:
        about: the script's documentation.
        seconds: default of the training.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--size", default="100x30")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    columns, rows = map(int, arguments.size.split("x"))
    return arguments.folder, arguments.seconds, columns, rows


def main() -> None:
    """Writes the pictures."""
    folder, seconds, columns, rows = read_arguments(__doc__)
    with tempfile.TemporaryDirectory() as root:
        asyncio.run(pictures(folder, seconds, columns, rows, Path(root)))


if __name__ == "__main__":
    main()
