"""What is on the screen: at every size, with foreign text, with numbers that went wrong."""

from __future__ import annotations

import math
import time
import unicodedata

import pytest
from app_opened import Opened, opened
from app_script import characters, finished, on_a_loop, step_of, training, validated
from textual.geometry import Region
from textual.strip import Strip

from corpus.errors import CorpusError
from model import events as ev
from model.config import SamplingConfig
from tui.config.screen_settings import PLAIN_THEME, ScreenSettings
from tui.widgets.writing_pane import WritingPane

HOSTILE = (
    "\x1b[2J\x1b]52;c;aGk=\x07\x1b]2;title\x1b\\ [/] [/red] [@click=app.quit]click[/] "
    "\x9b31m \u202eabc \u200b\ufeff \x00\x0e\x7f \ud800 e" + "\u0301" * 30 + " 漢字 👩‍👩‍👧"
)


def cells(it: Opened) -> list[str]:
    """Returns the rows of the screen as they are sent to the terminal."""
    strips: list[Strip] = it.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def drawn(it: Opened) -> bool:
    """Tells whether the curve with its best point is on the screen, asking for it first."""
    it.app.draw_chart()
    return any("◆" in row for row in cells(it))


def dangers(rows: list[str]) -> set[str]:
    return {
        character
        for row in rows
        for character in row
        if unicodedata.category(character) in {"Cc", "Cs", "Co", "Zl", "Zp"}
        or (unicodedata.category(character) == "Cf" and character not in "\u200c\u200d")
    }


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@on_a_loop
async def test_panes_leave_no_room_beside_them(size: tuple[int, int]) -> None:
    async with opened(*training(), size=size) as it:
        screen = it.app.main_screen
        for key in "12323":
            await it.press(key)
            frames = [screen.query_one(f"#{name}-frame") for name in screen.shown]
            assert sum(frame.outer_size.width for frame in frames) in {0, size[0]}, screen.shown


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (60, 18), (40, 10), (40, 12)])
@on_a_loop
async def test_the_text_has_six_rows_at_every_size(size: tuple[int, int]) -> None:
    async with opened(*training(), *characters("text"), size=size) as it:
        assert it.app.pane.size.height >= 6
        assert it.app.pane.size.width >= size[0] - 4
        rows = cells(it)
        assert "TRAINING" in rows[0]
        assert "Quit" in rows[-1]
        assert any("text" in row for row in rows)


@pytest.mark.parametrize("size", [(20, 5), (39, 24), (80, 9), (1, 1), (5, 30)])
@on_a_loop
async def test_a_terminal_too_small_says_so_and_keys_work(size: tuple[int, int]) -> None:
    async with opened(*training(), size=size) as it:
        assert it.app.main_screen.too_small.display
        assert not it.app.main_screen.query_one("#main").display
        await it.press("p", "q", "escape", "q", "d")
        assert it.app.quit_choice == "discard"
        assert len(it.session.commands) == 1


@on_a_loop
async def test_a_finished_run_shows_its_title_again_after_a_terminal_too_small() -> None:
    async with opened(*training(), *finished()) as it:
        for size in ((20, 5), (120, 40)):
            await it.pilot.resize_terminal(*size)
        await it.until(lambda: "temperature" in "".join(cells(it)))


@on_a_loop
async def test_a_storm_of_resizes_loses_nothing() -> None:
    text = " ".join(f"word{number}" for number in range(300))
    async with opened(*training(), *characters(text)) as it:
        for width, height in ((10, 3), (200, 60), (1, 1), (40, 10), (79, 25), (130, 12), (80, 24)):
            await it.pilot.resize_terminal(width, height)
            await it.say(*characters("!"))
        assert it.app.pane.visible_text.rstrip().endswith("word299!!!!!!!")
        assert it.app.pane.transcript.text == text + "!" * 7
        assert it.app.pane.following


@on_a_loop
async def test_foreign_text_is_harmless_everywhere() -> None:
    run = ev.RunStarted(
        time=0.0,
        run=HOSTILE,
        corpus=HOSTILE,
        characters=1,
        vocabulary=1,
        parameters=1,
        preset=HOSTILE,
        device=HOSTILE,
        precision=HOSTILE,
        threads=1,
        seed=0,
    )
    places: tuple[ev.Event, ...] = (
        ev.Preparing(stage=HOSTILE),
        *training(),
        run,
        ev.WritingRestarted(seed=1, prompt=HOSTILE, note=HOSTILE),
        *characters(HOSTILE),
        ev.WarningRaised(time=0.0, text=HOSTILE),
        ev.SampleRecorded(
            time=0.0, step=1, epoch=1, temperature=1.0, seed=0, prompt=HOSTILE, text=HOSTILE
        ),
        ev.CheckpointSaved(time=1.0, step=1, path=HOSTILE, best=True),
        ev.WorkerCrashed(worker="trainer", sentence=HOSTILE, traceback=HOSTILE),
    )
    for size in ((80, 24), (200, 60)):
        async with opened(ev.Preparing(stage=HOSTILE), size=size) as it:
            assert dangers(cells(it)) == set()
            await it.say(*places)
            await it.pilot.pause()
            assert dangers(cells(it)) == set()
            assert any("␛[2J" in row for row in cells(it))
            await it.press("i")
            assert dangers(cells(it)) == set()
            await it.press("escape", "t")
            it.app.screen.query_one("SafeInput").value = HOSTILE  # type: ignore[attr-defined]
            await it.pilot.pause()
            assert dangers(cells(it)) == set()
            assert it.app.is_running


@on_a_loop
async def test_a_click_on_foreign_text_runs_nothing() -> None:
    async with opened(*training(), *characters("[@click=app.quit]" * 20)) as it:
        await it.pilot.click("#text", offset=(5, 0))
        await it.pilot.pause()
        assert it.app.is_running
        assert it.app.screen is it.app.main_screen
        assert it.session.commands == []


@pytest.mark.parametrize("ascii_only", [False, True])
@on_a_loop
async def test_numbers_that_went_wrong_are_survived(ascii_only: bool) -> None:
    async with opened(ascii=ascii_only) as it:
        for bad in (math.nan, math.inf, -math.inf):
            broken = [step_of(step, bad, time=bad) for step in range(1, 5)]
            await it.say(*broken, validated(4, bad))
            it.app.draw_figures()
            it.app.draw_chart()
        await it.say(*training(), validated(45, math.nan))
        it.app.draw_chart()
        await it.say(*finished())
        it.app.draw_figures()
        it.app.draw_chart()
        await it.pilot.pause()
        assert not any(" nan" in row or " inf" in row for row in cells(it))


@pytest.mark.parametrize("ascii_only", [False, True])
@on_a_loop
async def test_numbers_beyond_reason_are_drawn_at_the_edge(ascii_only: bool) -> None:
    async with opened(*training(), ascii=ascii_only) as it:
        for step, wild in enumerate((1.79e308, -1.79e308, 5e-324, -1e200, 1e-300), 46):
            await it.say(
                step_of(step, wild, time=1.0),
                validated(step, wild),
            )
            for keys in ("l", "b", "right", "x", "l", "right", "b", "x", "right", "right"):
                await it.press(keys)
                it.app.draw_figures()
                it.app.draw_chart()
                await it.pilot.pause()
        for size in ((40, 10), (200, 60), (999, 500), (80, 24)):
            await it.pilot.resize_terminal(*size)
            it.app.draw_chart()
            await it.pilot.pause()
        assert it.app.is_running
        assert it.app.defect is None


@on_a_loop
async def test_the_curve_is_drawn_and_survives_one_point_and_resizes() -> None:
    async with opened(*training(1)) as it:
        await it.say(*training())
        await it.until(lambda: drawn(it))
        for size in ((40, 10), (70, 18), (200, 60), (80, 24)):
            await it.pilot.resize_terminal(*size)
            it.app.draw_chart()
            await it.pilot.pause()
        await it.until(lambda: drawn(it))


@on_a_loop
async def test_ascii_means_ascii() -> None:
    async with opened(*training(), *characters("text"), ascii=True) as it:
        await it.say(
            ev.SamplingApplied(sampling=SamplingConfig(temperature=0.5)), *characters("more")
        )
        await it.say(ev.WritingRestarted(seed=1, prompt="", note=None))
        it.app.draw_chart()
        await it.press("space", "p")
        await it.pilot.pause()
        assert [row for row in cells(it) if not row.isascii()] == []


@on_a_loop
async def test_a_streamed_character_draws_its_row_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(*training(), *characters("some text")) as it:
        drawn: list[tuple[Region, ...]] = []
        original = WritingPane.refresh

        def refresh(self: WritingPane, *regions: Region, **rest: bool) -> WritingPane:
            drawn.append(regions)
            return original(self, *regions, **rest)

        monkeypatch.setattr(WritingPane, "refresh", refresh)
        await it.say(*characters("abc"))
        assert len(drawn) == 1
        region = drawn[0][0]
        assert (region.height, region.width) == (1, 4)


@on_a_loop
async def test_a_flood_of_characters_is_taken_in_time() -> None:
    async def seconds_of_work(lines: int) -> float:
        flood = characters("some words of a text\n" * lines)
        start = time.process_time()
        await it.say(*flood)
        return time.process_time() - start

    async with opened(*training()) as it:
        few = await seconds_of_work(500)
        many = await seconds_of_work(5_000)
        assert many < 3 * 10 * few, "ten times as many characters, and not much more work for each"
        assert it.app.pane.transcript.line_count <= 4_401


def test_the_theme_follows_no_color_and_bandwidth() -> None:
    assert ScreenSettings(theme="nord").theme_name(no_color=True) == PLAIN_THEME
    assert ScreenSettings(low_bandwidth=True).theme_name(no_color=False) == PLAIN_THEME
    assert ScreenSettings(theme="nord").theme_name(no_color=False) == "nord"


@on_a_loop
async def test_an_unknown_theme_is_no_crash_and_a_change_redraws() -> None:
    async with opened(*training(), theme="no such"):
        pass
    async with opened(*training()) as it:
        it.app.theme = "nord"
        await it.pilot.pause()
        await it.say(ev.SessionRefused(error=CorpusError("a", "b", "c")))


@on_a_loop
async def test_a_failure_to_save_stays_on_the_screen_until_one_succeeds() -> None:
    path = "runs/" + "a" * 300
    failed = ev.SaveFailed(sentence=f"{path}: checkpoint not saved (No space left)")
    async with opened(*training()) as it:
        for size in ((80, 24), (40, 12), (160, 50)):
            await it.pilot.resize_terminal(*size)
            await it.say(failed)
            it.app.draw_figures()
            await it.pilot.pause()
            assert any("checkpoint not saved" in row for row in cells(it)), size
        await it.say(ev.CheckpointSaved(time=9.0, step=41, path="x", best=False))
        await it.pilot.pause()
        assert not any("not saved" in row for row in cells(it))
