"""Pictures of the lesson beside the app, and in two rows of a small terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from app_script import characters, training
from patience import until
from textual.pilot import Pilot

from model.config import SamplingConfig
from model.session.scripted import ScriptedSession
from tui.app.app import CharlmApp
from tui.config.screen_settings import ScreenSettings
from tui.lesson.progress import LessonProgress

TEXT = "the string and the value of the string is the string "


@pytest.mark.parametrize("size", [(80, 24), (40, 10)], ids=["80x24", "40x10"])
def test_the_lesson_looks_as_it_did(
    snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    session = ScriptedSession()
    progress = LessonProgress(is_open=True)
    progress.index = 2
    cold = SamplingConfig(temperature=0.2)
    settings = ScreenSettings(title="text", sampling=cold, language="pt")
    app = CharlmApp(session, settings, clock=lambda: 100.0, lesson=progress)

    async def fill(pilot: Pilot[None]) -> None:
        await until(lambda: session.started)
        # The curve has a picture elsewhere, and is drawn by a thread when it likes.
        if size == (80, 24):
            await pilot.press("1")
        app.take((*training(5), *characters(TEXT * 3)))
        for _ in range(3):
            app.draw_all()
            await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=fill)
