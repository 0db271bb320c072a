"""The race of models on the screen: its key, its heads, its lanes that wait, and narrow panes."""

from __future__ import annotations

import pytest
from app_opened import Opened, opened
from app_script import ladder_started, on_a_loop, race_started, training, validated

from model import events as ev
from model.commands import SetLaneTemperature, StartRace, StopRace
from tui.race.lanes import LINE_UPS
from tui.widgets.painted import row_width

SIZES = [(40, 10), (60, 18), (80, 24), (120, 40), (200, 60)]


async def begun(it: Opened, event: ev.RaceStarted) -> str:
    """Opens the ladder with these lanes and some text; returns what the pane shows."""
    await it.press("L")
    letters = (
        letter if lane.is_written else ""
        for letter, lane in zip("abcdefghij", event.lanes, strict=True)
    )
    await it.say(event, ev.LanesWritten(characters=tuple(letters)))
    it.app.draw_all()
    return it.app.main_screen.race.plain


@on_a_loop
async def test_a_key_races_models_and_the_same_key_goes_back_to_temperatures() -> None:
    async with opened(*training()) as it:
        await it.press("L")
        assert it.session.commands == [StartRace(lanes=LINE_UPS["ladder"])]
        assert it.app.main_screen.race.plain == "The race starts with the first text."
        await it.press("L")
        assert it.session.commands[1:] == [StartRace(lanes=LINE_UPS["temperatures"])]
        await it.say(ladder_started("he "))
        assert it.app.main_screen.race.lane_texts == [], "the line-up before is ignored"
        await it.press("4", "L")
        assert it.session.commands[2:] == [StopRace(), StartRace(lanes=LINE_UPS["ladder"])]


@on_a_loop
async def test_each_head_has_name_temperature_and_bits() -> None:
    async with opened(*training(), validated(40, 1.5), size=(140, 40)) as it:
        await it.press("1", "2")
        shown = await begun(it, ladder_started("he "))
        names, figures, text = shown.splitlines()[:3]
        assert [part.strip() for part in names.split("│")] == [
            "0-gram", "2-gram", "5-gram", "▸LSTM", "best", "epoch 2",
        ]  # fmt: skip
        assert [part.strip() for part in figures.split("│")] == [
            "T 1.00 4.31 bits", "T 1.00 2.91 bits", "T 1.00 2.10 bits", "T 1.00 2.16 bits",
            "T 1.00 2.16 bits", "T 1.00 2.62 bits",
        ]  # fmt: skip
        assert [part.strip() for part in text.split("│")] == [
            "he a", "he ≠b", "he ≠c", "he ≠d", "he ≠e", "he ≠f",
        ]  # fmt: skip


@on_a_loop
async def test_live_weights_that_are_the_best_have_the_bits_of_the_best() -> None:
    async with opened(*training(), validated(40, 1.3), validated(60, 1.5, best=False)) as it:
        assert "T 1.00 2.16 bits" in await begun(it, ladder_started("he "))
        await it.say(ev.WeightsSwapped(step=40, best=True))
        it.app.draw_views()
        assert "T 1.00 1.88 bits" in it.app.main_screen.race.plain


@on_a_loop
async def test_lanes_without_a_model_say_why() -> None:
    waiting = ladder_started("he ", counted=False, kept=False)
    async with opened(*training()) as it:
        shown = await begun(it, waiting)
        assert shown.count("being built") == 3
        assert [part.strip() for part in shown.splitlines()[1].split("│")][:2] == ["T 1.00"] * 2
        await it.say(ev.TextMissing(reason="/a/text.txt is gone"))
        it.app.draw_views()
        shown = it.app.main_screen.race.plain
        assert shown.count("the text is not") == shown.count("there") == 3
        assert "he d" in shown, "the network needs no text"


@on_a_loop
async def test_keys_change_the_temperature_of_the_chosen_lane_which_keeps_it() -> None:
    async with opened(*training()) as it:
        await begun(it, ladder_started("he "))
        await it.press("left", "down")
        assert it.session.commands[1:] == [SetLaneTemperature(lane=2, temperature=0.95)]
        await it.say(ev.LaneTemperatureApplied(lane=2, temperature=0.95))
        assert "T 0.95 2.10 bits" in it.app.main_screen.race.plain
        await it.press("L", "L")
        command = it.session.commands[-1]
        assert isinstance(command, StartRace)
        assert [lane.temperature for lane in command.lanes][:4] == [1.0, 1.0, 0.95, 1.0]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", SIZES)
@on_a_loop
async def test_lanes_that_do_not_fit_are_named(size: tuple[int, int], ascii_only: bool) -> None:
    async with opened(*training(), size=size, ascii=ascii_only) as it:
        race = it.app.main_screen.race
        await begun(it, ladder_started("he "))
        heads = race.plain.splitlines()[0]
        assert all(row_width(row) <= race.size.width for row in race._rows)
        assert len(race.words) <= race.size.width
        for name in ("0-gram", "2-gram", "5-gram", "LSTM", "best", "epoch 2"):
            assert (name in heads) != (name in race.words), name
        assert not ascii_only or (race.plain + race.words).isascii()


@on_a_loop
async def test_a_lane_that_was_left_out_is_shown_once_it_is_chosen() -> None:
    async with opened(*training()) as it:
        await begun(it, ladder_started("he "))
        race = it.app.main_screen.race
        assert "best" not in race.plain
        await it.press("right")
        assert "▸best" in race.plain
        assert "left out: 0-gram, epoch 2" in race.words


@on_a_loop
async def test_a_click_chooses_the_lane_under_the_mouse() -> None:
    async with opened(*training()) as it:
        await begun(it, ladder_started("he "))
        await it.pilot.click("#race", offset=(22, 3))
        assert "▸2-gram" in it.app.main_screen.race.plain


@on_a_loop
async def test_the_list_of_views_has_the_ladder() -> None:
    async with opened(*training()) as it:
        await it.press("v")
        await it.pilot.click("#choice-ladder")
        await it.settle()
        assert it.session.commands == [StartRace(lanes=LINE_UPS["ladder"])]
        await it.press("v", "L")
        assert it.session.commands[1:] == [StartRace(lanes=LINE_UPS["temperatures"])]


@on_a_loop
async def test_the_epoch_of_growing_up_is_the_epoch_of_its_lane() -> None:
    samples = tuple(
        ev.SampleRecorded(
            time=1.0, step=epoch, epoch=epoch, temperature=0.5, seed=1, prompt="", text="a"
        )
        for epoch in (1, 2, 3)
    )
    async with opened(*training(), *samples, size=(200, 60)) as it:
        await begun(it, ladder_started("he "))
        await it.press("5", "left")
        assert it.session.commands[1:] == [StartRace(lanes=LINE_UPS["ladder"], epoch=2)]
        await it.press("L")
        await it.say(race_started(0.2, 0.5, 1.0, 1.2, prompt="it "))
        await it.press("left")
        assert len(it.session.commands) == 3, "no lane of an epoch has to start again"
