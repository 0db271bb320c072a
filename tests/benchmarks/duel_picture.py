"""Makes the picture of docs/duel.md: the real app trains, and a script guesses as a user would.

python tests/benchmarks/duel_picture.py docs/views [--seconds 45] [--size 100x30]
"""

from __future__ import annotations

import asyncio
import tempfile
from itertools import cycle
from pathlib import Path

from textual.pilot import Pilot
from view_pictures import opened_app, read_arguments

from model.commands import StartDuel
from tui.app.app import CharlmApp
from tui.duel.duel_screen import DuelScreen
from tui.export.screen_svg import without_foreign_fonts

SEED = 2
"""Of a passage with sentences."""
RANKS = (1, 1, 3, 1, 2, 1, 1, 1, 6, 1, 1, 2, 1, 1)
"""Guesses for each letter, in turn."""
LETTERS = 40
LIKELY = " etaoinshrdlu"


async def play(app: CharlmApp, pilot: Pilot[None]) -> None:
    """Opens a duel and guesses letters, the last one not yet."""
    await pilot.press("Y")
    app.post(StartDuel(seed=SEED))
    await asyncio.sleep(2.0)
    screen = app.screen
    assert isinstance(screen, DuelScreen)
    for number, rank in zip(range(LETTERS), cycle(RANKS), strict=False):
        duel = screen.duel
        assert duel is not None
        answer = duel.text[duel.place]
        for symbol in [letter for letter in LIKELY if letter != answer][: rank - 1]:
            screen.guess(symbol)
        if number < LETTERS - 1:
            screen.guess(answer)
            await asyncio.sleep(0.2)
    screen.guess("u")
    await asyncio.sleep(1.0)


async def picture(seconds: float, columns: int, rows: int, root: Path) -> str:
    """Trains, plays and returns an SVG of the screen."""
    session, app = opened_app("quick", root, temperature=0.6)
    async with app.run_test(size=(columns, rows)) as pilot:
        await asyncio.sleep(seconds)
        await play(app, pilot)
        app.clear_notifications()
        await asyncio.sleep(1.0)
        svg = without_foreign_fonts(app.export_screenshot(title="charlm-tui"))
    session.close(save=False)
    return svg


def main() -> None:
    """Writes the picture."""
    folder, seconds, columns, rows = read_arguments(__doc__)
    with tempfile.TemporaryDirectory() as root:
        svg = asyncio.run(picture(seconds, columns, rows, Path(root)))
    (folder / "duel.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
