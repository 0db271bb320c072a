"""What the screen says of a network that is no LSTM: header, titles, lanes; a picture of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from app_opened import Opened, opened, without_toasts
from app_script import characters, ladder_started, on_a_loop, training
from patience import until
from textual.pilot import Pilot

from model import events as ev
from model.config import NETWORKS, SamplingConfig
from model.session.scripted import ScriptedSession
from tui.app.app import CharlmApp
from tui.app.process_meter import MachineMeter
from tui.config.screen_settings import ScreenSettings
from tui.view.state import MachineUse

OTHERS = pytest.mark.parametrize("network", [kind for kind in NETWORKS if kind != "lstm"])


class NoMeter(MachineMeter):
    def read(self) -> MachineUse:
        return MachineUse(cores=None, bytes=None)


def training_of(network: str) -> tuple[ev.Event, ...]:
    """A run of this network, with 104 units."""
    title = NETWORKS[network].title
    made: list[ev.Event] = []
    for event in training():
        if isinstance(event, ev.RunStarted):
            made.append(dataclasses.replace(event, network=f"{title}(104)"))
        elif isinstance(event, ev.Planned):
            made.append(dataclasses.replace(event, network=network, hidden=104))
        else:
            made.append(event)
    return tuple(made)


def rivals_of(network: str) -> tuple[str, ...]:
    return tuple(kind for kind in NETWORKS if kind != network)


async def race(it: Opened, network: str) -> str:
    """Opens the ladder beside a saved run of each other network; returns its first row."""
    await it.press("L")
    await it.say(ladder_started("he ", rivals=rivals_of(network)))
    it.app.draw_all()
    return it.app.main_screen.race.plain.splitlines()[0]


@OTHERS
@on_a_loop
async def test_header_pane_and_lanes_name_the_network(network: str) -> None:
    title = NETWORKS[network].title
    async with opened(*training_of(network), size=(160, 40)) as it:
        it.app.draw_all()
        assert f"{title} 1x104" in it.app.main_screen.header.plain
        frame = it.app.main_screen.run_pane.parent
        assert f"{title}(104)" in str(getattr(frame, "border_title", ""))
        await it.press("1", "2")
        row = await race(it, network)
        assert f"▸{title}" in row
        assert all(NETWORKS[other].title in row for other in rivals_of(network))


@OTHERS
def test_the_screen_looks_as_it_did(
    snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    session = ScriptedSession()
    settings = ScreenSettings(title="text", sampling=SamplingConfig(temperature=0.8))
    app = CharlmApp(session, settings, clock=lambda: 100.0, meter=NoMeter())

    async def fill(pilot: Pilot[None]) -> None:
        await until(lambda: session.started)
        app.take(training_of(network))
        app.take((ev.WritingRestarted(seed=7, prompt="he was ", note=None),))
        app.take(characters("annoyed by the grandiose manner, the soul of the spirit. " * 4))
        app.take((ev.WritingHeld(held=True),))
        await pilot.press("1", "L")
        app.take((ladder_started("he was ", rivals=rivals_of(network)),))
        for letters in zip(*(f"{kind} writes." for kind in "abcdefghi"), strict=True):
            app.take((ev.LanesWritten(characters=letters),))
        for _ in range(3):
            app.draw_all()
            await pilot.pause()
        await without_toasts(pilot)

    assert snap_compare(app, terminal_size=(120, 40), run_before=fill)
