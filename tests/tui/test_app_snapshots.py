"""Pictures of the whole screen at two sizes, from a state without a clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from app_opened import until
from app_script import characters, training
from textual.pilot import Pilot

from model import events as ev
from model.scripted_session import ScriptedSession
from tui.app import CharlmApp
from tui.screen_settings import ScreenSettings

TEXT = (
    "annoyed by the grandiose manner, the mise en scene of the spirit, and the sense of the whole "
    "of the soul and the highest\n\nSupposing that truth is a woman--what then? "
)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_the_screen_looks_as_it_did(
    snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    session = ScriptedSession()
    app = CharlmApp(session, ScreenSettings(title="text", temperature=0.8), clock=lambda: 100.0)

    async def fill(pilot: Pilot[None]) -> None:
        await until(lambda: session.started)
        app.take(training())
        app.take((ev.WritingRestarted(seed=7, prompt="he was ", note=None), *characters(TEXT)))
        app.take((ev.TemperatureApplied(temperature=1.2), *characters("Is there not ground")))
        app.draw_chart()
        await until(lambda: bool(app.main_screen.chart.query("PlotWidget")))
        for _ in range(5):
            await pilot.pause()
            app.draw_chart()
        app.draw_title()
        app.draw_status()
        app.draw_figures()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=fill)
