"""The duel on the screen: keys and clicks guess, the model's figures follow, the score stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from app_opened import Opened, opened
from app_script import on_a_loop, training
from patience import until
from textual.events import Paste
from textual.pilot import Pilot

from model import events as ev
from model.commands import JudgeLetter, StartDuel
from model.config import SamplingConfig
from model.duel.score import LetterPlayed
from model.session.scripted import ScriptedSession
from tui.app.app import CharlmApp
from tui.app.process_meter import MachineMeter
from tui.config.screen_settings import ScreenSettings
from tui.duel.duel_screen import DuelScreen
from tui.view.state import MachineUse

READ = "Supposing that truth is a woman--what then? Is there not ground\nfor suspecting that "
LETTERS = "all Philosophers\n\tx"
SYMBOLS = tuple(dict.fromkeys(" etaoinshrdlu" + READ + LETTERS))


def started(text: str = READ + LETTERS, **fields: str) -> ev.DuelStarted:
    symbols = tuple(dict.fromkeys((*SYMBOLS, *text)))
    return ev.DuelStarted(text=text, context=len(READ), by_frequency=symbols, seed=1, **fields)


def judged(
    place: int, *, rank: int, model_rank: int = 1, bits: float = 0.5, not_kept: str = ""
) -> ev.DuelLetterJudged:
    letter = LetterPlayed(
        seed=1, place=place, step=1200, rank=rank, gave_up=False, model_rank=model_rank,
        model_bits=bits,
    )  # fmt: skip
    return ev.DuelLetterJudged(letter=letter, not_kept=not_kept)


def ranks(it: Opened) -> list[int]:
    """The user's guesses for each solved letter, as the session heard of them."""
    return [command.rank for command in it.session.commands if isinstance(command, JudgeLetter)]


def page(it: Opened) -> str:
    screen = it.app.screen
    assert isinstance(screen, DuelScreen)
    return screen.page.plain


async def type_text(it: Opened, text: str) -> None:
    await it.type(text.replace("\n", "\r"))


@on_a_loop
async def test_letters_are_guessed_by_keys_and_the_score_is_said_at_the_end() -> None:
    async with opened(*training(), size=(100, 30)) as it:
        await it.press("Y")
        assert "Reading the text" in page(it)
        await it.press("a")
        await it.say(started())
        assert it.session.commands == [StartDuel()]
        assert "case counts" in page(it)
        await type_text(it, "qYeeAé")
        assert "wrong  q Y e A" not in page(it), "the vocabulary lacks some"
        assert page(it).count("wrong") == 1
        assert "é is no letter of this text" in page(it)
        await type_text(it, "e")
        assert "e was tried already" in page(it)
        await type_text(it, "a")
        first = len(READ)
        tried = len(set("qYeA") & set(SYMBOLS))
        assert it.session.commands[-1] == JudgeLetter(place=first, rank=tried + 1, gave_up=False)
        assert f"a: you at guess {tried + 1}, the model ..." in page(it)
        await it.say(judged(first, rank=tried + 1, model_rank=2, bits=1.25))
        assert "the model at guess 2 (1.25 bits, step 1,200)" in page(it)
        await type_text(it, "ll Philosophers\n")
        await it.press("shift+tab")
        assert ranks(it) == [tried + 1] + [1] * (len(LETTERS) - 2), "all but the x"
        await it.say(*(judged(first + n, rank=1, bits=0.75) for n in range(1, len(LETTERS) - 1)))
        assert "bounds from 18 letters" in page(it)
        assert "0.78 bits per character (exactly" in page(it)
        await it.press("tab")
        assert len(ranks(it)) == len(LETTERS)
        assert "The passage is over" in page(it)
        await it.press("enter")
        assert it.session.commands.count(StartDuel()) == 2
        await it.press("escape")
        assert it.app.screen is it.app.main_screen
        assert any("the model 0.78 bits per character" in toast for toast in it.toasts())


@on_a_loop
async def test_the_mouse_gives_up_and_closes() -> None:
    async with opened(*training()) as it:
        await it.press("Y")
        await it.say(started())
        dialog = it.app.screen.query_one(".dialog")
        edge = dialog.region.bottom - 1
        await it.pilot.click(offset=(dialog.region.right - 20, edge))
        assert it.session.commands[-1] == JudgeLetter(
            place=len(READ), rank=SYMBOLS.index("a") + 1, gave_up=True
        )
        await it.pilot.click(offset=(dialog.region.right - 6, edge))
        assert it.app.screen is it.app.main_screen


@on_a_loop
async def test_one_pasted_code_point_is_a_guess() -> None:
    async with opened(*training()) as it:
        await it.press("Y")
        await it.say(started(READ + "é\N{COMBINING ACUTE ACCENT}漢"))
        await it.post(Paste("é"), Paste("\N{COMBINING ACUTE ACCENT}"))
        assert ranks(it) == [1, 1]
        await it.post(Paste("漢字"))
        assert "one letter at a time" in page(it)


@on_a_loop
async def test_what_cannot_be_played_or_kept_is_said_in_one_line() -> None:
    async with opened(*training()) as it:
        await it.press("Y")
        await it.say(ev.DuelRefused(reason="This run holds no text out, \x1b[2J alas."))
        assert "holds no text out" in page(it)
        assert "\x1b" not in page(it)
        await it.press("x", "tab", "up")
        await it.say(started(not_kept="you only watch this run"))
        assert "Score not kept: you only watch this run." in page(it)
        await it.press("escape")
        assert it.app.screen is it.app.main_screen
        assert it.toasts() == []


@pytest.mark.parametrize(
    ("size", "ascii_only"),
    [((40, 10), False), ((40, 10), True), ((80, 24), False), ((200, 60), False)],
)
@on_a_loop
async def test_a_hostile_passage_fits_every_size(size: tuple[int, int], ascii_only: bool) -> None:
    hostile = "\x1b]0;x\x07\u202e漢字é\u0301\u0301 [bold]\x9b \t\n" * 20
    async with opened(*training(), size=size, ascii=ascii_only) as it:
        await it.press("Y")
        await it.say(started(READ + hostile))
        for _ in range(60):
            it.app.screen.action_give_up()  # type: ignore[attr-defined]
        places = range(len(READ), len(READ) + 60)
        full = "the disk is full"
        await it.say(*(judged(place, rank=9, model_rank=12, not_kept=full) for place in places))
        await type_text(it, "Supoing thar")
        screen = it.app.screen
        assert isinstance(screen, DuelScreen)
        rows = page(it).splitlines()
        assert len(rows) <= screen.page.size.height
        dialog = screen.query_one(".dialog")
        assert dialog.region.bottom <= size[1]
        assert dialog.region.right <= size[0]
        assert not any(character in page(it) for character in "\x1b\x07\x9b\u202e\t")
        assert "[bold]" in page(it) or size[1] == 10
        assert "wrong" in page(it)
        assert "bounds" in page(it)
        assert "exactly" in page(it)
        assert "not kept" in page(it)
        before = rows[0]
        await it.press("pageup")
        assert (page(it).splitlines()[0] != before) is (size == (40, 10)), "it looks back"


class FixedMeter(MachineMeter):
    def read(self) -> MachineUse:
        return MachineUse(cores=1.9, bytes=412_000_000)


def test_the_duel_looks_as_it_did(
    snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    session = ScriptedSession()
    settings = ScreenSettings(title="text", sampling=SamplingConfig(temperature=0.8))
    app = CharlmApp(session, settings, clock=lambda: 100.0, meter=FixedMeter())

    async def fill(pilot: Pilot[None]) -> None:
        await until(lambda: session.started)
        app.take(training())
        # The curve has a picture of its own, and is drawn by a thread when it likes.
        await pilot.press("1", "Y")
        app.take((started(),))
        await pilot.press(*"al", "e", "s", "t", "l", "space", *"Phe")
        first = len(READ)
        app.take([judged(first + n, rank=1 + 3 * (n == 2)) for n in range(6)])
        for _ in range(3):
            app.draw_all()
            await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=fill)
