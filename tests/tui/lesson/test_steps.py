"""The texts of the lesson: the same steps in both languages, and all of them fit the screen."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tui.config.keys import KEYS
from tui.lesson.conditions import Condition, Reading, Situation, parsed
from tui.lesson.language import LANGUAGES, language_of, texts_in
from tui.lesson.step import FIGURES, read_step
from tui.lesson.step_rows import Shown, lesson_rows, whole_rows
from tui.view.state import Losses, ViewState
from tui.widgets.painted import Row, row_width

LONGEST: dict[str, str] = {
    "temperature": "0.25",
    "validation": "2.19 nats",
    "written": "299/300",
    "lanes": "149/150",
    "repeats": "“fourteenlette”: 12",
    "new-word": "“fourteenlette”",
    "over-fitting": "train 0.11 val 1.98",
    "under-xz": "1.87, xz 2.24",
}
"""The widest words beside a condition, by its subject."""


def shown(language: str, index: int, *, met: int) -> Shown:
    texts = texts_in(language)
    step = texts.steps[index]
    readings = [Reading(0.0, LONGEST.get(item.subject, "")) for item in step.conditions]
    names = {"space": texts.words.space}
    return Shown(
        step=step,
        number=index + 1,
        count=len(texts.steps),
        met=tuple(readings[:met]),
        waiting=readings[met] if met < len(readings) else Reading(None),
        asks_to_skip=False,
        is_possible=True,
        keys={key.id: names.get(key.shown, key.shown) for key in KEYS},
        figures=dict(zip(FIGURES, ("4.62", "101"), strict=True)),
        words=texts.words,
    )


def text_of(rows: list[Row]) -> str:
    return " ".join(" ".join("".join(text for text, _ in row) for row in rows).split())


def test_both_languages_have_the_same_ten_steps_conditions_keys_and_figures() -> None:
    english, portuguese = (texts_in(language).steps for language in LANGUAGES)
    assert len(english) == len(portuguese) == 10
    for one, other in zip(english, portuguese, strict=True):
        assert one.conditions == other.conditions, one.title
        assert one.names == other.names, one.title
        assert one.title != other.title
        assert one.tasks != other.tasks or not one.tasks


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_named_key_and_figure_exists_and_a_step_is_two_to_six_sentences(
    language: str,
) -> None:
    keys = {key.id for key in KEYS}
    for step in texts_in(language).steps:
        for kind, name in step.names:
            assert name in (keys if kind == "key" else FIGURES), step.title
        sentences = re.findall(r"[.:](?:\s|$)", step.sentences.partition("\n- ")[0])
        assert 2 <= len(sentences) <= 6, (step.title, len(sentences))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("index", range(10))
def test_every_step_fits_beside_the_app_at_80x24_and_each_task_two_rows_of_40(
    language: str, index: int
) -> None:
    count = len(texts_in(language).steps[index].tasks)
    for met in range(count + 1):
        step = shown(language, index, met=met)
        rows, is_cut = lesson_rows(step, 32, 22, place="beside", ascii_only=False)
        assert not is_cut, (step.step.title, met)
        assert max(map(row_width, rows)) <= 32
        assert text_of(whole_rows(step, 200, ascii_only=False)).split()[3] in text_of(rows)
        line, _ = lesson_rows(step, 38, 2, place="line", ascii_only=False)
        wide, _ = lesson_rows(step, 500, 2, place="line", ascii_only=False)
        title = f"{step.step.title}. "
        assert text_of(line).replace(title, "") == text_of(wide).replace(title, "")
        plain, _ = lesson_rows(step, 32, 22, place="beside", ascii_only=True)
        assert text_of(plain).isascii()
        assert text_of(plain).count("?") == text_of(rows).count("?"), "a letter has no stand-in"


def test_a_low_pane_keeps_the_task_and_the_keys_and_says_where_the_rest_is() -> None:
    rows, is_cut = lesson_rows(shown("en", 2, met=1), 38, 7, place="above", ascii_only=False)
    assert is_cut
    assert len(rows) <= 7
    assert "Which word keeps coming back?" in text_of(rows)
    assert "S read all of it" in text_of(rows)


def test_a_remapped_key_is_shown_in_the_text() -> None:
    step = shown("en", 1, met=0)
    keys = {**step.keys, "chart.bits": "f9"}
    changed = replace(step, keys=keys)
    rows, _ = lesson_rows(changed, 32, 22, place="beside", ascii_only=False)
    assert "Press f9: the same loss in bits." in text_of(rows)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "pt_BR.UTF-8"}, "pt"),
        ({"LANG": "pt_PT"}, "pt"),
        ({"LC_ALL": "C", "LANG": "pt_BR.UTF-8"}, "en"),
        ({"LC_MESSAGES": "pt", "LANG": "de_DE.UTF-8"}, "pt"),
        ({"LC_ALL": "", "LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "ptz_XX"}, "en"),
        ({}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


@pytest.mark.parametrize(
    "words", ["weather is fine", "temperature < 1", "race is lost", "temperature is 1"]
)
def test_a_mistyped_condition_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="is"):
        parsed(words)


def test_a_task_without_a_condition_is_refused() -> None:
    with pytest.raises(ValueError, match="2 tasks for 1 conditions"):
        read_step("---\ntitle: T\nwait_for: written >= 1\n---\nA.\n- [ ] One.\n- [ ] Two.\n")


def test_conditions_on_figures_wait_until_these_are_known() -> None:
    over_fitting, under_xz = parsed("over-fitting >= 0.3"), parsed("under-xz >= 0")
    for condition in (over_fitting, under_xz, parsed("validation <= 2.2")):
        assert not condition.holds(Situation(state=ViewState(), temperature=1.0))
    losses = Losses(best=1.5, validation=1.9, smoothed=0.2)
    by_heart = Situation(state=ViewState(losses=losses), temperature=1.0)
    assert over_fitting.holds(by_heart)
    learns = Losses(best=1.5, validation=1.9, smoothed=1.8)
    assert not over_fitting.holds(Situation(state=ViewState(losses=learns), temperature=1.0))
    passed = ViewState(losses=losses, references=(("xz", 2.3), ("bz2", 2.1)))
    assert under_xz.holds(Situation(state=passed, temperature=1.0))
    assert under_xz.read(by_heart) == Reading(None)


def test_the_word_that_repeats_is_counted_in_what_was_written_since_the_temperature_fell() -> None:
    condition = parsed("repeats >= 4")
    assert condition == Condition("repeats", ">=", 4.0)
    state = ViewState()
    often = Situation(state=state, temperature=0.2, recent_text="The the of the the", sought="the")
    assert condition.holds(often)
    assert condition.read(often).words == "“the”: 4"
    rare = Situation(state=state, temperature=0.2, recent_text="The the of the the", sought="of")
    assert not condition.holds(rare)
