"""Ink: what each written character is coloured by."""

from __future__ import annotations

from app_opened import Opened, opened
from app_script import on_a_loop, training

from corpus import Vocabulary
from corpus.novelty import NoveltyIndex
from model import events as ev
from model.commands import WatchUnit
from tui.view.ink import KEPT, Ink

TEXT = "it was the best of times, it was the worst of times, it was the age of wisdom. "


def index() -> NoveltyIndex:
    vocabulary = Vocabulary.from_symbols(TEXT + "z")
    return NoveltyIndex(vocabulary.encode(TEXT), vocabulary)


def written(
    text: str, probability: float = 0.5, activation: float | None = None
) -> list[ev.CharacterWritten]:
    return [
        ev.CharacterWritten(
            character=character,
            probability=probability,
            entropy=1.0,
            candidates=(),
            activation=activation,
        )
        for character in text
    ]


def styles(ink: Ink, first: int, last: int) -> list[str | None]:
    return [ink.style_at(position) for position in range(first, last)]


def test_surprise_has_five_levels() -> None:
    ink = Ink()
    for place, probability in enumerate((0.9, 0.3, 0.1, 0.02, 0.001, 0.0)):
        ink.add(10 + place, written("x", probability))
    ink.kind = "surprise"
    assert styles(ink, 10, 16) == [f"surprise-{level}" for level in (0, 1, 2, 3, 4, 4)]
    assert ink.style_at(9) is None
    assert ink.style_at(16) is None
    ink.kind = "off"
    assert ink.style_at(12) is None


def test_novelty_marks_new_words_and_copies_where_they_stand() -> None:
    ink = Ink()
    ink.kind = "novelty"
    assert "reading the text" in ink.words
    ink.use_index(index())
    text = "zaza " + TEXT[:40] + "zz"
    changed = ink.add(100, written(text))
    assert changed == (100, 144)
    assert styles(ink, 100, 105) == ["new"] * 4 + [None]
    assert set(styles(ink, 105, 145)) == {"copied"}
    assert set(styles(ink, 145, 147)) == {None}
    assert "85% copied, 1 new" in ink.words


def test_a_restart_reaches_across_nothing() -> None:
    ink = Ink()
    ink.use_index(index())
    ink.kind = "novelty"
    ink.add(0, written(TEXT[:29]))
    ink.restart()
    ink.add(35, written(TEXT[29:40]))
    assert set(styles(ink, 0, 50)) == {None}


def test_the_memory_is_bounded() -> None:
    ink = Ink()
    ink.kind = "surprise"
    ink.add(0, written("x" * 1000))
    step = KEPT // 4
    for place in range(1000, 4 * KEPT, step):
        ink.add(place, written("y", 0.001))
    assert len(ink._surprise) <= KEPT * 1.2
    newest = max(range(1000, 4 * KEPT, step))
    assert ink.style_at(newest) == "surprise-4"


def row_styles(it: Opened, text: str) -> set[tuple[bool, bool]]:
    """Returns (bold, underline) of the segments of the pane that hold the text."""
    pane = it.app.pane
    found = set()
    for y in range(pane.size.height):
        for segment in pane.render_line(y):
            if text in segment.text and segment.style is not None:
                found.add((bool(segment.style.bold), bool(segment.style.underline)))
    return found


@on_a_loop
async def test_the_key_colours_what_is_already_there() -> None:
    async with opened(*training(), ev.NoveltyIndexed(index=index())) as it:
        await it.say(*written("zaza "), *written(TEXT[:40]), *written("QQ", 0.001))
        assert row_styles(it, "zaza") == {(False, False)}
        await it.press("c")
        assert row_styles(it, "QQ") == {(True, False)}, "bold and reversed"
        await it.press("c")
        assert row_styles(it, "zaza") == {(True, False)}
        assert row_styles(it, "it was the best") == {(False, True)}
        it.app.draw_title()
        assert "copied" in it.app.main_screen.title_edge.plain
        await it.press("c", "c")
        assert row_styles(it, "zaza") == {(False, False)}


@on_a_loop
async def test_units_are_watched_in_the_order_of_their_rank() -> None:
    units = tuple(
        ev.RankedUnit(feature=name, layer=0, unit=number, correlation=correlation)
        for number, name, correlation in ((7, "inside quotes", 0.9), (3, "capitals", -0.8))
    )
    async with opened(*training()) as it:
        await it.press("h")
        assert any("ranked" in toast for toast in it.toasts())
        await it.say(ev.UnitsRanked(units=units))
        await it.press("c", "c", "c")
        assert it.session.commands == [WatchUnit(layer=0, unit=7)]
        await it.say(*written("loud", activation=0.95), *written("calm", activation=0.0))
        assert row_styles(it, "loud") == {(True, False)}
        assert row_styles(it, "calm") == {(False, False)}
        assert "unit 7: inside quotes" in it.app.main_screen.title_edge.plain
        await it.press("h")
        assert it.session.commands[1:] == [WatchUnit(layer=0, unit=3)]
        assert "unit 3: capitals, inverted" in it.app.main_screen.title_edge.plain


@on_a_loop
async def test_a_text_that_is_gone_is_said_and_not_waited_for() -> None:
    async with opened(*training()) as it:
        await it.press("c", "c")
        assert "novelty: reading the text" in it.app.main_screen.title_edge.plain
        await it.say(ev.TextMissing(reason="/a/text.txt: \x1b[2J is gone"))
        it.app.draw_title()
        assert "novelty: not available" in it.app.main_screen.title_edge.plain
        assert "Novelty is not available: /a/text.txt: ␛[2J is gone" in it.toasts()
        it.app.clear_notifications()
        await it.press("c", "c", "c", "c")
        assert any(toast.startswith("Novelty is not available") for toast in it.toasts())
        assert "no novelty ink" in it.app.state.log[-1].text


def test_a_text_that_is_too_long_for_an_index_is_said_to_be() -> None:
    ink = Ink()
    ink.kind = "novelty"
    assert ink.words == "novelty: reading the text"
    ink.use_index(None)
    assert ink.words == "novelty: the text is too long"
