"""The panes above the text: their keys, what they show, and at which sizes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, race_started, step_of, training
from hypothesis import given
from hypothesis import strategies as st

from model import events as ev
from model.commands import SetLaneTemperature, SetSampling, StartRace, StopRace
from model.config import SamplingConfig
from tui.race.lanes import LINE_UPS
from tui.view.chart_view import (
    METRICS,
    ChartView,
    best_point,
    curves_of,
    fall_of,
    references_of,
)
from tui.view.fold import fold
from tui.view.layout import PANES
from tui.view.state import ViewState
from tui.widgets import curve_chart
from tui.widgets.sampling_pane import bar_rows, fact_rows

SIZES = [(40, 10), (80, 24), (100, 30), (120, 40), (200, 60)]
NEXT_DISTRIBUTION = ev.NextDistribution(
    candidates=(
        ev.AdjustedCandidate(character="e", probability=0.5, adjusted=0.75),
        ev.AdjustedCandidate(character=" ", probability=0.25, adjusted=0.25),
        ev.AdjustedCandidate(character="\x1b", probability=0.125, adjusted=0.0),
    ),
    entropy=1.0,
    adjusted_entropy=0.5,
    kept=2,
)


def sample(epoch: int, temperature: float, text: str) -> ev.SampleRecorded:
    return ev.SampleRecorded(
        time=epoch * 10.0,
        step=epoch * 20,
        epoch=epoch,
        temperature=temperature,
        seed=0,
        prompt="it was ",
        text=text,
    )


def samples() -> list[ev.Event]:
    return [
        sample(epoch, temperature, f"text of {epoch} at {temperature}")
        for epoch in (1, 2, 3)
        for temperature in (0.2, 0.5, 1.0)
    ]


def frame_rows(it: Opened) -> str:
    strips = it.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


@pytest.mark.parametrize("size", SIZES)
@on_a_loop
async def test_every_pane_is_reachable_at_every_size(size: tuple[int, int]) -> None:
    async with opened(*training(), *characters("text"), *samples(), size=size) as it:
        await it.press("0")
        for pane in PANES:
            if pane.id in it.app.main_screen.shown:
                await it.press(pane.digit)
            assert pane.id not in it.app.main_screen.shown
            await it.press(pane.digit)
            assert pane.id in it.app.main_screen.shown
            assert f"{pane.digit} {pane.name}" in frame_rows(it)
            frame = it.app.main_screen._frames[pane.id]
            assert frame.outer_size.width >= min(pane.columns, size[0])
            assert frame.size.height >= 4
        await it.press("0")
        assert it.app.pane.size.height >= 6


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 18)])
@on_a_loop
async def test_maximised_panes_leave_the_text_six_rows(size: tuple[int, int]) -> None:
    async with opened(*training(), *characters("text"), size=size) as it:
        before = it.app.main_screen._frames["chart"].size.height
        await it.press("m")
        assert it.app.main_screen._frames["chart"].size.height > before or size[1] < 24
        assert it.app.pane.size.height == 6
        await it.press("m")
        assert it.app.main_screen._frames["chart"].size.height == before


@on_a_loop
async def test_without_panes_the_text_has_the_screen() -> None:
    async with opened(*training(), *characters("text")) as it:
        await it.press("1", "2")
        assert it.app.main_screen.shown == ()
        assert it.app.pane.size.height >= 18


@on_a_loop
async def test_the_menu_switches_panes_by_mouse() -> None:
    async with opened(*training()) as it:
        await it.press("v")
        await it.pilot.click("#choice-events")
        await it.pilot.pause()
        assert "events" in it.app.main_screen.shown
        await it.press("v", "6")
        assert "events" not in it.app.main_screen.shown
        await it.press("v", "escape")
        assert it.app.screen is it.app.main_screen


@on_a_loop
async def test_arrows_go_through_the_curves() -> None:
    async with opened(*training()) as it:
        for metric in (*METRICS[1:], METRICS[0]):
            await it.press("right")
            assert it.app.main_screen.chart_view.metric == metric
        await it.press("left", "x", "l")
        view = it.app.main_screen.chart_view
        assert view == ChartView(metric="speed", recent=True, logarithmic=True)
        subtitle = str(it.app.main_screen._frames["chart"].border_subtitle)
        assert subtitle == "characters/s", "more would be cut on a frame of 48 cells"


@pytest.mark.parametrize("rounds", range(12))
@on_a_loop
async def test_an_app_that_ends_while_its_chart_is_put_in_place_is_no_defect(rounds: int) -> None:
    """The plot looked for parts that had gone before it."""

    async def at_once(work: Callable[[str], Any], name: str) -> Any:
        return work(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve_chart, "asyncio", SimpleNamespace(to_thread=at_once))
        async with opened(*training()) as it:
            it.app.draw_chart()
            for _ in range(rounds):  # of the event loop
                await asyncio.sleep(0)
    assert it.app.defect is None


@on_a_loop
async def test_a_chart_whose_parts_are_gone_already_is_not_drawn() -> None:
    async with opened(*training()) as it:
        chart = it.app.main_screen.chart

        def is_placed() -> bool:
            it.app.draw_chart()
            return chart._plot is not None

        await it.until(is_placed)
        assert chart._plot is not None
        await chart._plot.remove_children()
        await it.press("right")  # draws again, as a timer does while the app ends
        assert it.app.main_screen.chart_view.metric == METRICS[1]
        assert not chart.query("#legend")


@on_a_loop
async def test_bars_stand_before_and_after_the_temperature() -> None:
    async with opened(*training(), NEXT_DISTRIBUTION) as it:
        await it.press("3")
        it.app.draw_views()
        await it.pilot.pause()
        shown = it.app.main_screen.sampling.bars.plain
        assert "50%" in shown
        assert "75%" in shown
        assert shown.count("cut") == 1
        assert "\x1b" not in frame_rows(it)
        assert "1.44 → 0.72 bits" in it.app.main_screen.sampling.facts.plain


@on_a_loop
async def test_cuts_step_by_key_and_are_posted() -> None:
    async with opened(*training()) as it:
        await it.press("k", "k", "K", "u", "j", "j", "J", "J", "J")
        posted = [c for c in it.session.commands if isinstance(c, SetSampling)]
        assert posted[0] == SetSampling(sampling=SamplingConfig(top_k=40))
        assert posted[1] == SetSampling(sampling=SamplingConfig(top_k=20))
        assert posted[2] == SetSampling(sampling=SamplingConfig(top_k=40))
        assert posted[3] == SetSampling(sampling=SamplingConfig(top_k=40, top_p=0.99))
        assert posted[5] == SetSampling(sampling=SamplingConfig(top_k=40, top_p=0.99, min_p=0.02))
        assert posted[-1] == SetSampling(sampling=SamplingConfig(top_k=40, top_p=0.99))
        assert it.toasts() == ["min-p off"]


@on_a_loop
async def test_a_warning_is_not_shown_a_second_time_beside_itself() -> None:
    async with opened(*training()) as it:
        await it.press("y", "y", "y")
        assert it.toasts() == ["There is no text to copy yet."]
        it.app.clear_notifications()  # as a click on it does
        await it.press("y", "y")
        assert it.toasts() == ["There is no text to copy yet."]


@on_a_loop
async def test_typical_sampling_has_a_key_and_keeps_the_other_settings() -> None:
    chosen = SamplingConfig(temperature=0.5, top_k=20)
    async with opened(*training(), sampling=chosen) as it:
        await it.press("d", "d", "minus", "D", "3")
        assert it.session.commands == [
            SetSampling(sampling=replace(chosen, temperature=temperature, typical=typical))
            for temperature, typical in ((0.5, 0.99), (0.5, 0.95), (0.45, 0.95), (0.45, 0.99))
        ]
        assert it.toasts()[-1] == "typical 0.99"
        assert "typ 0.99" in it.app.main_screen.sampling.facts.plain
        await it.press("D", "D")
        assert it.session.commands[-1] == SetSampling(sampling=replace(chosen, temperature=0.45))
        assert "typ off" in it.app.main_screen.sampling.facts.plain


@on_a_loop
async def test_the_race_runs_while_it_is_seen() -> None:
    async with opened(*training(), size=(120, 40)) as it:
        await it.press("4")
        assert it.session.commands == [StartRace(lanes=LINE_UPS["temperatures"])]
        await it.say(race_started(0.2, 0.5, 1.0, 1.2, prompt="it "))
        for lanes in ("aaaa", "bbbb", "ccdd", "eeef", "ghij"):
            await it.say(ev.LanesWritten(characters=tuple(lanes)))
        it.app.draw_views()
        race = it.app.main_screen.race
        assert race.lane_texts == ["it abceg", "it abceh", "it abdei", "it abdfj"]
        assert [sign in race.plain for sign in ("it abce≠h", "it ab≠dei", "it abd≠fj")] == [
            True
        ] * 3
        assert "3 of 3 left their neighbour" in race.words
        await it.press("right", "up")
        assert it.session.commands[1:] == [SetLaneTemperature(lane=1, temperature=0.55)]
        await it.say(ev.LaneTemperatureApplied(lane=1, temperature=0.55))
        assert "T 0.55" in race.plain
        await it.press("4")
        assert it.session.commands[2:] == [StopRace()]


@on_a_loop
async def test_growing_up_scrubs_through_epochs_and_temperatures() -> None:
    async with opened(*training(), *samples(), size=(120, 40)) as it:
        await it.press("5")
        growth = it.app.main_screen.growth
        assert "text of 3 at 0.5" in growth.plain
        await it.press("left", "left", "left", "up")
        assert "text of 1 at 1.0" in growth.plain
        assert "epoch 1 of 3" in growth.plain
        assert "val 1." in growth.plain
        await it.press("right", "down", "down")
        assert "text of 2 at 0.2" in growth.plain
        await it.press("right")
        await it.say(sample(4, 0.2, "text of 4 at 0.2"))
        it.app.draw_figures()
        assert "text of 4 at 0.2" in growth.plain, "at the newest it follows"


@on_a_loop
async def test_the_log_says_what_happened_and_when() -> None:
    warning = ev.WarningRaised(time=61.0, text="odd \x1b[2J thing")
    async with opened(*training(), *samples(), warning, size=(120, 40)) as it:
        await it.press("6")
        it.app.draw_figures()
        shown = it.app.main_screen.events_pane.plain
        assert "0:00:05 step 10: val" in shown
        assert "epoch 3: samples written" in shown
        assert "0:01:01 odd" in shown
        assert "\x1b" not in shown


# --- pure parts -----------------------------------------------------------------------------------


def state_of(*events: ev.Event) -> ViewState:
    return fold(ViewState(), events, 0.0)


def losses_of(*losses: float, steps_per_epoch: int) -> ViewState:
    """Returns the state after a step of each loss."""
    plan = ev.Planned(
        steps_per_epoch=steps_per_epoch,
        planned_steps=None,
        planned_seconds=None,
        first_step=0,
        layers=1,
        hidden=8,
    )
    steps = [
        replace(step_of(n, loss, time=n * 0.1), epoch=1 + (n - 1) // steps_per_epoch)
        for n, loss in enumerate(losses, 1)
    ]
    return fold(ViewState(), [plan, *steps], 0.0)


def test_the_first_fall_is_left_out_once_it_hides_what_moves() -> None:
    falling = [1.3 + 3 * 0.9**n for n in range(200)]
    zoomed = ChartView(zoomed=True)
    assert fall_of(losses_of(*falling, steps_per_epoch=300), zoomed) is None, "the first epoch"
    state = losses_of(*falling, steps_per_epoch=100)
    start = fall_of(state, zoomed)
    assert start is not None
    assert 1 < start < 100
    heights = [y for _, y in curves_of(state, zoomed)["train"]]
    whole = [y for _, y in curves_of(state, ChartView())["train"]]
    assert heights == whole[-len(heights) :]
    assert max(heights) - min(heights) < 0.3 * (max(whole) - min(whole))
    assert fall_of(state, replace(zoomed, metric="speed")) is None
    steady = losses_of(*(4 - n / 100 for n in range(200)), steps_per_epoch=100)
    assert fall_of(steady, zoomed) is None, "all of it still moves"


@on_a_loop
async def test_a_key_goes_through_the_ranges_and_the_frame_says_which() -> None:
    async with opened(*training()) as it:
        frame = it.app.main_screen._frames["chart"]
        for words in ("zoomed", "epochs", "recent", "zoomed"):
            it.app.draw_chart()
            assert str(frame.border_subtitle).endswith(words)
            await it.press("x")


def test_the_recent_range_is_the_last_fifth() -> None:
    state = state_of(*training(40))
    whole = curves_of(state, ChartView())["raw"]
    recent = curves_of(state, ChartView(recent=True))["raw"]
    assert recent == whole[-len(recent) :]
    assert 7 <= len(recent) <= 9
    assert best_point(state, ChartView()) is not None
    assert best_point(state, ChartView(metric="speed")) is None


def test_bits_and_logarithms_change_the_heights_alone() -> None:
    state = state_of(*training(40))
    nats = curves_of(state, ChartView())["train"]
    bits = curves_of(state, ChartView(bits=True))["train"]
    logs = curves_of(state, ChartView(logarithmic=True))["train"]
    assert [x for x, _ in nats] == [x for x, _ in bits] == [x for x, _ in logs]
    assert bits[3][1] == pytest.approx(nats[3][1] * 1.442695)
    assert 10 ** logs[3][1] == pytest.approx(nats[3][1])


def test_compressors_are_heights_of_the_loss() -> None:
    state = ViewState(references=(("xz", 2.0), ("bz2", float("nan"))))
    assert references_of(state, ChartView(bits=True)) == {"xz": pytest.approx(2.0)}
    assert references_of(state, ChartView(metric="speed")) == {}


@given(
    width=st.integers(0, 200),
    height=st.integers(0, 60),
    temperature=st.floats(0, 5),
    ascii_only=st.booleans(),
)
def test_bars_take_any_size(
    width: int, height: int, temperature: float, *, ascii_only: bool
) -> None:
    rows = bar_rows(NEXT_DISTRIBUTION, temperature, width, height, ascii_only=ascii_only)
    facts = fact_rows(
        NEXT_DISTRIBUTION,
        SamplingConfig(temperature=temperature),
        7,
        wide=width > 30,
        ascii_only=ascii_only,
    )
    assert len(rows) <= max(1, height)
    text = "".join(part for row in (*rows, *facts) for part, _ in row)
    assert "\x1b" not in text
    assert text.isascii() or not ascii_only or "␛" in text


@on_a_loop
async def test_panes_come_back_when_the_terminal_grows_again() -> None:
    async with opened(*training(), size=(120, 40)) as it:
        for size in ((20, 5), (40, 10), (60, 18), (120, 40)):
            await it.pilot.resize_terminal(*size)
            await it.pilot.pause()
        assert it.app.main_screen.shown == ("chart", "run")
        assert "1 Training" in frame_rows(it)
        assert "2 Run" in frame_rows(it)
