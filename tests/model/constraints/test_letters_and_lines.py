"""Which characters may be written, and which lines fit."""

from __future__ import annotations

import pytest

from corpus import Vocabulary
from model.constraint_config import Constraints, read_constraints
from model.constraints import verse
from model.constraints.letters import allowed_symbols
from model.constraints.line_rules import FIRST_LINE, LineRules
from model.errors import ConfigError

VOCABULARY = Vocabulary.from_symbols("\n aAbBeEé1.")


def allowed(**words: str) -> str:
    mask = allowed_symbols(read_constraints(words), VOCABULARY)
    assert mask is not None
    return VOCABULARY.decode(mask.nonzero()[0])


def fitting(place: int, *lines: str, **words: str) -> list[str]:
    """Returns the lines that fit after the first ``place`` of them."""
    rules = LineRules(read_constraints(words))
    at = FIRST_LINE
    for line in lines[:place]:
        at = rules.after(line, at)
    found = rules.fits(lines[place:], at)
    rules.close()
    return [line for line, fits in zip(lines[place:], found, strict=True) if fits]


def test_a_letter_stands_for_both_cases_and_for_no_accent() -> None:
    assert allowed(forbid="e") == "\n .1ABabé"
    assert allowed(forbid="E1") == "\n .ABabé"
    assert allowed(allow="ab") == "\n .1ABab"
    assert allowed_symbols(Constraints(forbid="xyz"), VOCABULARY) is None
    assert allowed_symbols(Constraints(acrostic="Bé"), VOCABULARY) is None


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ({"forbid": "\n aAbBeEé1."}, "--forbid: leaves the model no character"),
        ({"forbid": "\n", "line_length": "3"}, "without a line feed"),
        ({"acrostic": "a bz"}, "--acrostic: no line can begin with 'z'"),
        ({"acrostic": "ab", "forbid": "B"}, "--acrostic: no line can begin with 'b'"),
    ],
)
def test_what_a_model_cannot_obey_is_refused_in_one_line(words: dict[str, str], cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        allowed_symbols(read_constraints(words), VOCABULARY)
    with pytest.raises(ConfigError, match="has no line feed"):
        allowed_symbols(Constraints(acrostic="a"), Vocabulary.from_symbols("ab"))


@pytest.mark.parametrize(
    "words",
    [
        {"line_length": "0-3"}, {"line_length": "9-3"}, {"line_length": "3-"},
        {"line_length": "1-999"}, {"syllables": "x"}, {"acrostic": "12"}, {"allow": " "},
        {"rhyme": "AB AB"}, {"line_matches": "("}, {"line_choice": "best"}, {"forbid": "x" * 1001},
    ],
)  # fmt: skip
def test_a_bad_setting_is_refused_with_its_option(words: dict[str, str]) -> None:
    (name,) = words
    with pytest.raises(ConfigError) as refused:
        read_constraints(words)
    assert refused.value.subject == f"--{name.replace('_', '-')}"


def test_settings_are_read_as_they_are_typed() -> None:
    typed = {"line_length": "32-40", "syllables": "10", "rhyme": "abab", "forbid": "e"}
    constraints = read_constraints(typed)
    assert constraints.line_length == (32, 40)
    assert constraints.rhyme == "ABAB"
    assert read_constraints(constraints.words()) == constraints


def test_an_acrostic_waits_for_its_letter_and_begins_again() -> None:
    lines = ("“Ah, so", "nothing", "but that", "bees", "and", "beer")
    assert fitting(0, *lines, acrostic="ab") == ["“Ah, so", "and"]
    assert fitting(1, *lines, acrostic="ab") == ["but that", "bees", "beer"]
    assert fitting(2, *lines, acrostic="ab") == ["but that", "bees", "beer"]
    assert fitting(3, *lines, acrostic="ab") == ["and"]


def test_length_and_pattern_are_both_obeyed() -> None:
    lines = ("one", "three", "seven", "eleven")
    assert fitting(0, *lines, line_length="4-5") == ["three", "seven"]
    assert fitting(0, *lines, line_length="4-6", line_matches="^.*n$") == ["seven", "eleven"]
    assert fitting(0, "a a", "a b", line_matches=r"(\w) \1") == ["a a"]


def test_a_pattern_that_would_take_a_life_is_refused_after_a_second() -> None:
    with pytest.raises(ConfigError, match="takes more than a second"):
        fitting(0, "a" * 80 + "!", line_matches="(a+)+$")


def test_lines_rhyme_by_sound_and_strange_words_by_their_letters() -> None:
    pytest.importorskip("pronouncing")
    first = ("they are the sea", "and so we fought")
    lines = ("as it is free", "of tea", "in thought", "the sea", "")
    assert fitting(2, *first, *lines, rhyme="ABAB") == ["as it is free", "of tea"]
    assert fitting(3, *first, *lines, rhyme="ABAB") == ["in thought"]
    assert verse.rhyme("a zlorbing", "a frobbing", "en")
    assert not verse.rhyme("a zlorbing", "a frobbed", "en")
    assert verse.rhyme("das Haus", "die Maus", "de_DE")


def test_syllables_are_counted_in_english_and_in_other_languages() -> None:
    pytest.importorskip("pyphen")
    assert verse.syllables_of_line("Whan that Aprille, beautiful and wild", "en") == 9
    assert verse.syllables_of_line("a frobble frobbed the frobe", "en") == 7
    assert verse.syllables_of_line("der Donaudampfer", "de_DE") == 5
    assert fitting(0, "a beautiful day", "a day", syllables="5") == ["a beautiful day"]


def test_without_the_extra_verse_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verse, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"--rhyme: .*; pip install 'charlm-tui\[verse\]'"):
        LineRules(Constraints(rhyme="AA"))
    LineRules(Constraints(line_length=(1, 2)))
