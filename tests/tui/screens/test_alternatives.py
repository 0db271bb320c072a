"""Looking back at what else could have been written, and forking there."""

from __future__ import annotations

import pytest
from app_opened import Opened, opened
from app_script import on_a_loop, training
from hypothesis import given
from hypothesis import strategies as st

from model import events as ev
from model.commands import ContinueWriting, ForkWriting, HoldWriting, ReturnToTrunk
from tui.screens.alternatives import AlternativesScreen
from tui.view.recent_characters import Past
from tui.view.transcript import Transcript
from tui.widths import width_of


def written(text: str) -> list[ev.CharacterWritten]:
    return [
        ev.CharacterWritten(
            character=character,
            probability=0.5,
            entropy=1.0,
            candidates=(
                ev.Candidate(character=character, probability=0.5),
                ev.Candidate(character="e", probability=0.3),
                ev.Candidate(character="\x1b", probability=0.1),
            ),
        )
        for character in text
    ]


def page(it: Opened) -> str:
    screen = it.app.screen
    assert isinstance(screen, AlternativesScreen)
    return screen.page.plain


def marked(it: Opened) -> str:
    """Returns what is drawn as marked in the pane, wherever it is."""
    pane = it.app.pane
    style = pane.component_style("writing--found")
    rows = [pane.render_line(y) for y in range(pane.size.height)]
    return "".join(segment.text for row in rows for segment in row if segment.style == style)


def covered(it: Opened) -> bool:
    """Tells whether the dialog covers the marked row."""
    dialog, pane = it.app.screen.query_one(".dialog"), it.app.pane
    style = pane.component_style("writing--found")
    rows = [y for y in range(pane.size.height) if style in [s.style for s in pane.render_line(y)]]
    assert len(rows) == 1
    return dialog.region.y <= pane.region.y + rows[0] < dialog.region.bottom


@pytest.mark.parametrize("size", [(40, 10), (60, 18), (80, 24), (200, 60)])
@pytest.mark.parametrize("keys", [(), ("1", "2"), ("m",)], ids=["usual", "text alone", "maximised"])
@on_a_loop
async def test_the_cursor_is_seen_in_the_text_itself(
    size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    text = "\n".join(f"line {number} of the text" for number in range(40))
    held = ev.WritingHeld(held=True)
    async with opened(*training(), *written(text), held, size=size) as it:
        await it.press(*(() if size == (40, 10) else keys))
        await it.press("space", "a")
        await it.say(held)
        await it.settle()
        for moves in (["left"] * 3, ["pageup"] * 5, ["left"] * 7, ["home"], ["right"] * 6, ["end"]):
            await it.press(*moves)
            await it.settle()
            screen = it.app.screen
            assert isinstance(screen, AlternativesScreen)
            character = text[screen.place]
            assert marked(it) == ("⏎" if character == "\n" else character)
            assert not covered(it)


@on_a_loop
async def test_the_mouse_shows_bits_and_rivals_of_a_character() -> None:
    async with opened(*training(), *written("the cat sat")) as it:
        edge = it.app.main_screen.status_edge
        await it.pilot.hover("#text", offset=(4, 0))
        await it.until(lambda: "1.0 bits" in edge.plain)
        assert "c 1.0 bits  not: e 30%" in edge.plain
        assert "\x1b" not in edge.plain
        await it.pilot.hover("#text", offset=(40, 0))
        await it.until(lambda: "bits" not in edge.plain)
        await it.pilot.hover("#text", offset=(0, 0))
        await it.until(lambda: "t 1.0 bits" in edge.plain)
        await it.pilot.hover("#header")
        await it.until(lambda: "following" in edge.plain)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)])
@on_a_loop
async def test_a_fork_is_chosen_by_keys(size: tuple[int, int]) -> None:
    async with opened(*training(), *written("the cat sat"), size=size) as it:
        await it.press("a")
        assert it.session.commands == [HoldWriting()]
        await it.say(ev.WritingHeld(held=True))
        await it.settle()  # the door waits for the alternatives
        assert "1 back  written t at 50%" in page(it)
        assert marked(it) == "t"
        await it.press("left", "left", "left")
        await it.settle()
        assert "4 back  written ␣ at 50%" in page(it)
        assert marked(it) == " "
        assert "\x1b" not in page(it)
        await it.press("down", "enter")
        assert it.session.commands[1:] == [ForkWriting(back=4, character="e"), ContinueWriting()]
        await it.say(ev.WritingRewound(back=4, text="e", forked=True), *written("nd"))
        assert it.app.pane.transcript.current_text == "the catend"
        assert marked(it) == ""
        assert it.app.pane.following
        assert "⑂" in it.app.pane.visible_text
        await it.press("B")
        assert it.session.commands[-1] == ReturnToTrunk()
        await it.say(ev.WritingRewound(back=3, text=" sat", forked=False))
        assert it.app.pane.transcript.current_text == "the cat sat"
        await it.press("B")
        assert any("no fork" in toast for toast in it.toasts())


@pytest.mark.parametrize("leaving", [["escape"], ["q"], ["a"], ["enter"], ["left", "enter"]])
@pytest.mark.parametrize("was_held", [False, True])
@on_a_loop
async def test_whoever_leaves_finds_the_text_as_it_was(leaving: list[str], was_held: bool) -> None:
    """However the screen is left without a fork, the text goes on if it went on before."""
    async with opened(*training(), *written("the cat")) as it:
        if was_held:
            await it.press("space")
            await it.say(ev.WritingHeld(held=True))
        await it.press("a")
        await it.say(ev.WritingHeld(held=True))
        await it.settle()
        assert len(it.app.screen_stack) == 2
        await it.press(*leaving)
        await it.settle()
        assert it.app.screen is it.app.main_screen
        assert it.session.commands == [HoldWriting(), *([] if was_held else [ContinueWriting()])]
        assert it.app.held == was_held


@on_a_loop
async def test_a_text_that_is_empty_goes_on() -> None:
    async with opened(*training()) as it:
        await it.press("a")
        await it.say(ev.WritingHeld(held=True))
        assert it.session.commands == [HoldWriting(), ContinueWriting()]


@on_a_loop
async def test_a_text_goes_on_if_its_sampler_answers_too_late() -> None:
    async with opened(*training(), *written("the cat")) as it:
        await it.press("a")
        it.app.awaits_dialog = False  # as the door does after its last poll
        await it.say(ev.WritingHeld(held=True))
        assert it.app.screen is it.app.main_screen
        assert it.session.commands == [HoldWriting(), ContinueWriting()]


@on_a_loop
async def test_what_was_written_already_is_no_fork() -> None:
    async with opened(*training(), *written("abc"), ev.WritingHeld(held=True)) as it:
        await it.press("a", "home", "enter")
        assert it.session.commands == []
        await it.press("a", "escape")
        assert it.session.commands == []
        assert it.app.screen is it.app.main_screen


@on_a_loop
async def test_there_is_nothing_to_look_back_at_yet() -> None:
    async with opened(*training(), ev.WritingHeld(held=True)) as it:
        await it.press("a")
        assert any("no text" in toast for toast in it.toasts())


def test_the_past_follows_forks_and_returns() -> None:
    past = Past()
    past.add(written("abcdef"))
    past.rewind(ev.WritingRewound(back=3, text="e", forked=True))
    past.add(written("xy"))
    assert "".join(event.character for event in past.characters) == "abcexy"
    assert past.characters[3].probability == 0.3, "what the model gave it"
    past.rewind(ev.WritingRewound(back=5, text="q", forked=True))
    assert "".join(event.character for event in past.characters) == "aq"
    assert past.characters[1].probability == 0.0, "it was not considered"
    assert past.forked
    past.rewind(ev.WritingRewound(back=2, text="bcdef", forked=False))
    assert "".join(event.character for event in past.characters) == "abcdef"
    assert not past.forked


@given(
    text=st.text("ab c\né漢", min_size=1, max_size=120),
    count=st.integers(0, 140),
    instead=st.text("xy z\n", max_size=20),
    width=st.integers(2, 30),
    prompt=st.text("pq ", max_size=5),
)
def test_an_end_that_is_replaced_leaves_the_lines_of_a_text_written_so(
    text: str, count: int, instead: str, width: int, prompt: str
) -> None:
    changed, straight = Transcript(width), Transcript(width)
    for transcript in (changed, straight):
        transcript.restart("rule", prompt)
    changed.append(text)
    changed.replace_end(count, instead, None)
    straight.append(text[: max(0, len(text) - count)])
    straight.append(instead)
    assert changed.current_text == straight.current_text
    lines = [changed.line(i) for i in range(changed.line_count)]
    assert lines == [straight.line(i) for i in range(straight.line_count)]
    assert changed.position == straight.position


@given(
    text=st.text("ab c\né漢", min_size=1, max_size=80),
    width=st.integers(2, 20),
    marks=st.lists(st.integers(0, 79), max_size=4),
)
def test_each_character_is_found_by_its_place_and_by_its_cell(
    text: str, width: int, marks: list[int]
) -> None:
    transcript = Transcript(width)
    transcript.restart("rule", "prompt ")
    for index, character in enumerate(text):
        if index in marks:
            transcript.mark("<1.0>")
        transcript.append(character)
    for back in range(1, len(text) + 1):
        position = transcript.position_of(back)
        assert position is not None
        assert transcript.back_of(position) == back
    assert transcript.position_of(len(text) + 1) is None, "the prompt was not written"
    for index in range(transcript.line_count):
        line = transcript.line(index)
        cells = "".join(piece.text for piece in line)
        cell = 0
        for piece in line:
            for character in piece.text:
                found = transcript.back_at(index, cell)
                if piece.kind == "text":
                    assert found is not None
                    assert text[len(text) - found] == character
                else:
                    assert found is None
                cell += width_of(character)
        assert transcript.back_at(index, cell) is None, cells
