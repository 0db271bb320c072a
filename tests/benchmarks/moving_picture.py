"""Makes the moving picture of README: the app plays a recorded session, without a recorder.

    python tests/benchmarks/moving_picture.py recording.jsonl docs/moving.svg

The app runs under Pilot on a scripted session. It reads the recorded events and presses the
recorded keys, frame by frame. Its clock and its timers move with the frames, so the same recording
gives the same bytes. ``record_session.py`` makes a recording.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from animated_svg import Frame, Movie, Paint, Row, animated_svg
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from session_recording import FRAME_SECONDS, read_recording
from session_recording import Frame as RecordedFrame
from textual import screen
from textual.timer import Timer

sys.path.append(str(Path(__file__).parents[1] / "support"))
from app_opened import key_named
from patience import moments_of_a_loop
from settled import settle

from model.config import SamplingConfig
from model.session.scripted import ScriptedSession
from tui.app import live
from tui.app.app import CharlmApp
from tui.app.process_meter import MachineMeter
from tui.config.screen_settings import ScreenSettings
from tui.view.state import MachineUse

TITLE: Final = (
    "A terminal in which a network trains on Nietzsche. The text above becomes words within "
    "seconds; keys change the temperature, start a race of four temperatures, and colour the text."
)


class PlayedMeter(MachineMeter):
    """The use of the machine as it was recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.use = MachineUse(cores=None, bytes=None)

    def read(self) -> MachineUse:
        """Returns the last recorded figures."""
        return self.use


class PlayedApp(CharlmApp):
    """The app with timers that run by the clock of the picture."""

    CSS_PATH = str(Path(live.__file__).with_name("app.tcss"))

    def __init__(self, session: ScriptedSession, settings: ScreenSettings) -> None:
        self.now = 0.0
        self.meter = PlayedMeter()
        self._due: list[tuple[float, Callable[[], Any], list[float]]] = []
        super().__init__(session, settings, clock=lambda: self.now, meter=self.meter)

    def set_interval(self, interval: float, callback: Any = None, **options: Any) -> Timer:
        """Notes the callback; the timer itself is never started."""
        self._due.append((interval, callback, [interval]))
        return Timer(self, interval, **options)

    def advance(self, seconds: float) -> None:
        """Moves the clock, and runs what is due by then."""
        self.now = seconds
        for interval, callback, due in self._due:
            if due[0] <= seconds:
                due[0] += interval * ((seconds - due[0]) // interval + 1)
                callback()


async def screens_of(
    about: dict[str, Any], recorded: Sequence[RecordedFrame]
) -> tuple[list[Frame], str]:
    """Plays a recording; returns the screen of each frame, and the background of the screen."""
    columns, rows = about["size"]
    session = ScriptedSession()
    sampling = SamplingConfig(temperature=about["temperature"])
    app = PlayedApp(session, ScreenSettings(title=about["text"], sampling=sampling))
    frames: list[Frame] = []
    async with drawn_on_demand(), app.run_test(size=(columns, rows), notifications=True):
        await _settled_until(lambda: session.started, "the session")
        for number, frame in enumerate(recorded):
            app.meter.use = frame.use or app.meter.use
            for key in frame.keys:
                app.post_message(key_named(key))
                await settle()
            session.say(*frame.events)
            app.advance((number + 1) * FRAME_SECONDS)
            app.clear_notifications()
            await _settled_until(lambda: app.main_screen.chart.is_settled, "the chart")
            frames.append(_screen(app))
        background = app.screen.styles.background.hex6.lower()
    return frames, background


@asynccontextmanager
async def drawn_on_demand() -> AsyncIterator[None]:
    """Lets ``settle`` alone draw: a screen's timer would draw at a moment that varies."""
    period = screen.UPDATE_PERIOD
    setattr(screen, "UPDATE_PERIOD", 3600.0)  # noqa: B010 - a constant of Textual
    try:
        yield
    finally:
        setattr(screen, "UPDATE_PERIOD", period)  # noqa: B010


async def _settled_until(met: Callable[[], bool], why: str) -> None:
    """Draws, and waits for what a thread still works on."""
    async for _ in moments_of_a_loop(why):
        await settle()
        if met():
            await settle()
            return


def _screen(app: CharlmApp) -> Frame:
    """Returns the rows of the screen, each as runs of one style."""
    return tuple(_row(strip) for strip in app.screen._compositor.render_strips())


def _row(segments: Iterable[Segment]) -> Row:
    """Returns the runs of a row; neighbours of one style are one run."""
    runs: list[tuple[str, Paint]] = []
    for segment in segments:
        paint = _paint(segment.style or Style())
        if runs and runs[-1][1] == paint:
            runs[-1] = (runs[-1][0] + segment.text, paint)
        else:
            runs.append((segment.text, paint))
    return tuple(runs)


def _paint(style: Style) -> Paint:
    colour, background = _hex(style.color, "#c0caf5"), _hex(style.bgcolor, "#1a1b26")
    if style.reverse:
        colour, background = background, colour
    return Paint(
        colour=colour,
        background=background,
        bold=bool(style.bold),
        italic=bool(style.italic),
        underlined=bool(style.underline),
    )


def _hex(colour: Color | None, default: str) -> str:
    return default if colour is None else colour.get_truecolor().hex


async def moving_picture(about: dict[str, Any], recorded: Sequence[RecordedFrame]) -> str:
    """Returns the animated SVG of a recording."""
    frames, background = await screens_of(about, recorded)
    captions: list[str] = []
    for frame in recorded:
        captions.append(frame.caption or (captions[-1] if captions else ""))
    return animated_svg(
        Movie(
            title=TITLE,
            seconds=len(frames) * FRAME_SECONDS,
            columns=about["size"][0],
            frames=frames,
            captions=captions,
            background=background,
        )
    )


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    about, recorded = read_recording(arguments.recording)
    svg = asyncio.run(moving_picture(about, recorded))
    arguments.path.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
