"""The row that teaches: what it says, when, and how often."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from app_opened import opened
from app_script import finished, on_a_loop, training
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from model import events as ev
from tui.config.acting_keys import keys_of
from tui.config.keys import KEYS
from tui.hints.hints import HINTS, LONG, SHORT, Moment, Words
from tui.hints.teacher import SECONDS_OF_EACH, Teacher
from tui.view.fold import fold
from tui.view.state import Losses, ViewState, Writing

EVERY_KEY = {key.id: key.shown for key in KEYS}


def moment_of(state: ViewState, **changes: object) -> Moment:
    moment = Moment(state=state, temperature=0.7, temperature_at_start=0.7, keys=EVERY_KEY)
    return replace(moment, **changes)  # type: ignore[arg-type]


def trained_to(nats: float, **changes: object) -> Moment:
    losses = Losses(validation=nats, best=nats, smoothed=nats)
    references = (("bz2", 2.24), ("xz", 2.62))
    return moment_of(
        ViewState(training="training", losses=losses, references=references), **changes
    )


def said(moment: Moment, count: int = 20) -> list[str]:
    teacher, words = Teacher(), []
    for number in range(count):
        shown = teacher.listen(moment, number * SECONDS_OF_EACH)
        if shown is not None and shown.long not in words:
            words.append(shown.long)
    return words


def test_a_loss_that_is_worse_than_a_blind_guess_is_not_praised() -> None:
    (run,) = (event for event in training() if isinstance(event, ev.RunStarted))
    for nats, is_praised in ((3.6, True), (3.7, False)):  # ln 38 = 3.64
        moment = trained_to(nats)
        moment = replace(moment, state=replace(moment.state, run=replace(run, vocabulary=38)))
        assert any("how often each letter" in words for words in said(moment)) == is_praised


def test_noise_is_explained_before_anything_is_learned() -> None:
    untrained = ViewState(writing=Writing(weights_step=0))
    assert said(moment_of(untrained))[0].startswith("Random letters:")
    assert not said(moment_of(ViewState())), "it is not known yet which weights write"


def test_the_strongest_compressor_that_is_passed_is_named_and_each_once() -> None:
    teacher = Teacher()
    shown = []
    for number, nats in enumerate([2.5, 1.8, 1.8, 1.5, 1.5]):
        words = teacher.listen(trained_to(nats), number * SECONDS_OF_EACH)
        assert words is not None
        shown.append(words.long)
    assert shown[1] == "val 1.80 nats, 2.60 bits: it now predicts better than xz compresses."
    assert "bz2" in shown[3]
    assert sum("xz" in words for words in shown) == 1
    assert not any("xz" in words for words in said(trained_to(1.5))), "bz2 is stronger"


def test_a_passed_count_of_characters_is_named_as_a_model() -> None:
    losses = Losses(validation=1.3, best=1.3, smoothed=1.3)
    references = (("bz2", 2.24), ("xz", 2.62), ("5-gram", 1.9))
    state = ViewState(training="training", losses=losses, references=references)
    words = said(moment_of(state))
    assert "val 1.30 nats, 1.88 bits: it now predicts better than a 5-gram model." in words


def test_a_made_up_word_is_shown_once_words_are_the_rule() -> None:
    assert any(
        "“gramdeth” is not in the text" in w for w in said(trained_to(1.5, new_word="gramdeth"))
    )
    assert not any("gramdeth" in w for w in said(trained_to(3.0, new_word="gramdeth")))
    assert not any("“gra”" in w for w in said(trained_to(1.5, new_word="gra")))


def test_two_models_get_the_keys_that_move_the_weight() -> None:
    authors = ev.AuthorsOpened(names=("a", "b"), symbols=9, lacking=((), ()))
    words = "Two models write. Press { for more of the first, } for more of the second."
    assert said(moment_of(ViewState(authors=authors)))[0] == words
    assert words not in said(moment_of(ViewState()))


def test_no_hint_comes_twice_and_each_stays_for_a_while() -> None:
    teacher = Teacher()
    seen: list[Words] = []
    changes: list[int] = []
    for tick in range(4000):
        nats = max(1.2, 3.0 - tick / 400)
        shown = teacher.listen(trained_to(nats, temperature=0.7 + tick // 2000), float(tick))
        if shown is not None and (not seen or seen[-1] != shown):
            seen.append(shown)
            changes.append(tick)
    assert len(seen) == len(set(seen)) > 6
    assert min(b - a for a, b in pairwise(changes)) >= SECONDS_OF_EACH


def test_the_end_comes_at_once_with_the_best_loss_and_four_things_to_do() -> None:
    teacher = Teacher()
    teacher.listen(trained_to(1.5), 0.0)
    state = fold(trained_to(1.453).state, finished(), 1.0)
    shown = teacher.listen(moment_of(state), 1.0)
    assert shown is not None
    assert shown.long.startswith("Best 1.310 nats. ")
    assert shown.long.count("·") == 3
    assert teacher.listen(moment_of(state), 500.0) == shown, "nothing follows that is less useful"
    resumed = teacher.listen(trained_to(1.2), 501.0)
    assert resumed is None or not resumed.long.startswith("Best"), "a watched run goes on"
    assert teacher.listen(moment_of(state), 502.0) == shown


def test_a_training_that_ended_early_is_not_to_be_trained_longer() -> None:
    warned = (ev.WarningRaised(time=1.0, text="the validation loss has stopped falling; ..."),)
    state = fold(trained_to(1.4).state, (*warned, *finished()), 1.0)
    shown = Teacher().listen(moment_of(state), 1.0)
    assert shown is not None
    assert shown.long.startswith("Best 1.310 nats, which fell no longer. i ")
    assert "longer ·" not in shown.long


def test_a_hint_that_is_no_longer_true_goes_at_once() -> None:
    teacher = Teacher()
    noise = teacher.listen(moment_of(ViewState(writing=Writing(weights_step=0))), 0.0)
    assert noise is not None
    assert teacher.listen(trained_to(2.5), 1.0) != noise


@pytest.mark.parametrize(("role", "is_told"), [("only", True), ("student", False)])
def test_a_student_is_not_said_to_learn_by_heart(role: ev.NetworkRole, is_told: bool) -> None:
    """Half of its training loss compares it with a teacher, so the two losses are no pair."""
    moment = trained_to(2.6)
    losses = replace(moment.state.losses, smoothed=2.2)
    progress = replace(moment.state.progress, role=role)
    moment = replace(moment, state=replace(moment.state, losses=losses, progress=progress))
    assert any("by heart" in words for words in said(moment)) == is_told


def test_only_keys_that_do_something_are_named() -> None:
    acting = {k.id: k.shown for k in keys_of({}, read_only=True, trains=False)}
    state = fold(trained_to(1.4).state, finished(), 1.0)
    words = said(moment_of(state, keys=acting)) + said(trained_to(1.4, keys=acting))
    assert not any("train longer" in sentence or "write a file" in sentence for sentence in words)
    own = {k.id: k.shown for k in keys_of({"text.alternatives": "f5"})}
    assert any(
        sentence.startswith("Press f5 to see") for sentence in said(trained_to(1.5, keys=own))
    )


@given(
    nats=st.none() | st.floats(0.01, 12),
    smoothed=st.none() | st.floats(0.01, 12),
    epoch=st.integers(0, 10**6),
    temperature=st.floats(0, 5),
    word=st.text(max_size=60),
    ended=st.booleans(),
)
def test_every_hint_fits_its_row_whatever_happens(
    nats: float | None,
    smoothed: float | None,
    epoch: int,
    temperature: float,
    word: str,
    ended: bool,
) -> None:
    state = fold(ViewState(), training()[:4], 0.0)
    losses = Losses(validation=nats, best=nats, smoothed=smoothed)
    references = (("a very long compressor's name", 2.5),)
    state = replace(state, losses=losses, references=references)
    state = replace(state, progress=replace(state.progress, epoch=epoch))
    state = fold(state, finished(), 1.0) if ended else state
    moment = moment_of(state, temperature=temperature, new_word=word)
    for hint in HINTS:
        words = hint(moment)
        assert words is None or isinstance(words, Words)
        if words is not None:
            assert cell_len(words.long) <= LONG, words.long
            assert cell_len(words.short) <= SHORT, words.short
            assert words.long.isprintable()


@on_a_loop
async def test_the_row_is_there_where_there_is_room_and_goes_by_key() -> None:
    async with opened(*training()) as it:
        row = it.app.main_screen.hint_row
        await it.until(lambda: bool(row.plain.strip()))
        height = it.app.main_screen.pane.size.height
        await it.press("H")
        await it.settle()
        assert not it.app.main_screen.hint_row.display
        assert it.app.main_screen.pane.size.height == height + 1
        before = row.plain
        it.app.main_screen.draw_hint(1e9)
        assert row.plain == before, "nothing is drawn that nobody sees"
        await it.press("H")
        assert it.app.main_screen.pane.size.height == height
    async with opened(*training(), size=(60, 18)) as it:
        assert not it.app.main_screen.hint_row.display


@pytest.mark.parametrize("ascii_only", [False, True])
@on_a_loop
async def test_foreign_words_and_signs_fit_the_terminal(ascii_only: bool) -> None:
    async with opened(*training(), ascii=ascii_only, hints=True) as it:
        screen = it.app.main_screen
        screen.hint_row.show(Words("“\x1b[2J[red]” · x", "-"), ascii_only=ascii_only)
        assert ("“" in screen.hint_row.plain) is not ascii_only
    async with opened(*training(), hints=False) as it:
        assert not it.app.main_screen.hint_row.display
        assert isinstance(it.app.state.run, ev.RunStarted)
