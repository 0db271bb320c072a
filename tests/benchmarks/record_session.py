"""Records a real training for the moving picture, and what it writes after 5 s, 1 min and 5 min.

    python tests/benchmarks/record_session.py nietzsche.txt recording.jsonl

The app trains on the text as `charlm-tui nietzsche.txt --preset balanced --minutes 5 --threads 1
--temperature 0.5 --seed 1` does. Keys are pressed at the seconds of ``SCENES``. The first seconds
are written to the file, frame by frame, at the pace at which they happened.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

sys.path.append(str(Path(__file__).parents[1] / "support"))
from app_opened import key_named
from patience import until
from session_recording import FRAME_SECONDS, Moment, frames_of, write_recording

from corpus import CorpusOptions
from model import events as ev
from model.commands import Command
from model.config import SamplingConfig
from model.presets import find_preset
from model.runs.request import RunRequest
from model.session.live import LiveSession
from tui.app.app import CharlmApp
from tui.app.process_meter import MachineMeter
from tui.cli.commands.app import SWITCH_SECONDS
from tui.cli.commands.bench import machine_in_words
from tui.config.screen_settings import ScreenSettings
from tui.view.state import MachineUse

TEMPERATURE: Final = 0.5
SEED: Final = 1
PRESET: Final = "balanced"
MINUTES: Final = 5.0
COLUMNS, ROWS = 80, 24
RAISE: Final = "right_square_bracket"
LOWER: Final = "left_square_bracket"
SCENES: Final[tuple[tuple[float, tuple[str, ...], str], ...]] = (
    (0.0, (), "The network writes while it learns: noise first, then words"),
    (8.0, (RAISE,) * 3, "key ]   the temperature rises: the text becomes bolder at once"),
    (12.0, (LOWER,) * 3, "key [   the temperature falls: the text becomes calmer at once"),
    (14.0, ("4",), "key 4   four temperatures race with the same random numbers"),
    (20.5, ("4", "c"), "key c   ink: the hotter a character, the more it surprised the network"),
    (28.0, ("c", "c", "c"), ""),
)
"""Seconds, keys, and the words below the picture. The picture ends with the last one."""
MARKS: Final = (5.0, 60.0, 299.0)
"""Seconds at which the end of the text is noted."""
NOTED_CHARACTERS: Final = 160


class RecordedSession:
    """A real session that notes when each event was polled."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self.has_begun = False
        self._began = 0.0
        self.moments: list[Moment] = []

    @property
    def seconds(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Starts the session and its clock."""
        self._began, self.has_begun = time.monotonic(), True
        self._session.start()

    def post(self, command: Command) -> None:
        """Passes a command on."""
        self._session.post(command)

    def poll(self) -> Sequence[ev.Event]:
        """Passes events on, and notes them."""
        events = self._session.poll()
        if events:
            self.moments.append(Moment(seconds=self.seconds, events=tuple(events)))
        return events

    def close(self, *, save: bool = True, timeout: float = 30.0) -> bool:
        """Closes the session."""
        return self._session.close(save=save, timeout=timeout)


class NotedMeter(MachineMeter):
    """The use of the machine, noted in the recording."""

    def __init__(self, session: RecordedSession) -> None:
        super().__init__()
        self._recorded = session

    def read(self) -> MachineUse:
        """Measures, and notes the figures."""
        use = super().read()
        self._recorded.moments.append(Moment(seconds=self._recorded.seconds, use=use))
        return use


def opened_app(text: Path, root: Path) -> tuple[RecordedSession, CharlmApp]:
    """Returns the session to record, and the app on it; neither has begun."""
    preset = find_preset(PRESET)
    training = replace(preset.training, epochs=None, minutes=MINUTES, seed=SEED, threads=1)
    request = RunRequest(
        corpus=str(text),
        corpus_options=CorpusOptions(),
        preset=preset.name,
        model=preset.model,
        training=training,
        root=root,
        run="nietzsche",
    )
    sampling = SamplingConfig(temperature=TEMPERATURE)
    session = RecordedSession(LiveSession(request, sampling=sampling, rate=60.0, seed=SEED))
    settings = ScreenSettings(title=text.name, sampling=sampling, root=root)
    return session, CharlmApp(session, settings, meter=NotedMeter(session))


async def record(session: RecordedSession, app: CharlmApp) -> list[dict[str, Any]]:
    """Runs the scenes and then the rest of the training; returns the noted ends of the text."""
    noted: list[dict[str, Any]] = []
    plan = [(seconds, keys, words) for seconds, keys, words in SCENES]
    plan += [(seconds, (), "") for seconds in MARKS]
    async with app.run_test(size=(COLUMNS, ROWS), notifications=True):
        await until(lambda: session.has_begun)
        for seconds, keys, words in sorted(plan):
            await asyncio.sleep(max(0.0, seconds - session.seconds))
            for key in keys:
                app.post_message(key_named(key))
                session.moments.append(Moment(seconds=session.seconds, key=key))
            if words:
                session.moments.append(Moment(seconds=session.seconds, caption=words))
            if seconds in MARKS:
                noted.append(text_now(app, seconds))
    return noted


def text_now(app: CharlmApp, seconds: float) -> dict[str, Any]:
    """Returns the end of the text, and how far the training is."""
    written = [event.character for event in app.main_screen.feed.past.characters]
    losses = app.state.losses.validation_curve.points
    return {
        "seconds": seconds,
        "step": app.state.progress.step,
        "nats": losses[-1][1] if losses else None,
        "text": "".join(written[-NOTED_CHARACTERS:]),
    }


def main() -> None:
    """Writes the recording, and prints the noted texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    sys.setswitchinterval(SWITCH_SECONDS)
    with tempfile.TemporaryDirectory() as root:
        session, app = opened_app(arguments.text, Path(root))
        noted = asyncio.run(record(session, app))
        session.close(save=False)
    about = {
        "text": arguments.text.name,
        "temperature": TEMPERATURE,
        "size": [COLUMNS, ROWS],
        "seed": SEED,
        "machine": machine_in_words(),
        "date": time.strftime("%Y-%m-%d"),
        "noted": noted,
    }
    frames = frames_of(session.moments, round(SCENES[-1][0] / FRAME_SECONDS))
    write_recording(arguments.path, about, frames)
    for entry in noted:
        print(json.dumps(entry))


if __name__ == "__main__":
    main()
