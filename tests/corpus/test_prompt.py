"""A prompt in the model's characters."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import CorpusError, Vocabulary, fit_prompt

LOWER = Vocabulary.from_symbols("abcdefghijklmnopqrstuvwxyz -'\"\n.,")


@given(
    text=st.text(max_size=60),
    symbols=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
)
def test_the_result_is_always_within_the_vocabulary(text: str, symbols: str) -> None:
    vocabulary = Vocabulary.from_symbols(symbols)
    fitted = fit_prompt(text, vocabulary)
    assert all(symbol in vocabulary for symbol in fitted.text)
    assert fit_prompt(fitted.text, vocabulary).note is None or "\r" in symbols
    assert fitted.note is None or fitted.note.isprintable()


@given(text=st.text("abc xyz\n", max_size=50))
def test_a_prompt_that_fits_is_left_alone(text: str) -> None:
    fitted = fit_prompt(text, LOWER)
    assert (fitted.text, fitted.replaced, fitted.dropped, fitted.note) == (text, (), (), None)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("The Truth", "the truth"),
        ("“so”—he said…", '"so"--he said...'),
        ("a\tb\u00a0c", "a b c"),
        ("two\r\nlines\rhere", "two\nlines\nhere"),
        ("Élan naïve", "elan naive"),
        ("ﬁne", "fine"),
        ("e\N{COMBINING ACUTE ACCENT}", "e"),
        ("日本 ok", " ok"),
    ],
)
def test_the_nearest_known_characters_stand_in(prompt: str, text: str) -> None:
    assert fit_prompt(prompt, LOWER).text == text


def test_curly_stands_in_for_straight_where_only_that_is_known() -> None:
    assert fit_prompt("it's", Vocabulary.from_symbols("its\u2019")).text == "it\u2019s"


def test_the_note_says_what_was_done_in_printable_characters() -> None:
    fitted = fit_prompt("Né\x1b\u202e", LOWER)
    assert fitted.replaced == (("N", "n"), ("é", "e"))
    assert fitted.dropped == ("\x1b", "\u202e")
    assert fitted.note is not None
    for words in ("N became n", "é became e", "left out U+001B, U+202E"):
        assert words in fitted.note
    assert fitted.preview == ("N will become n, é will become e; U+001B, U+202E will be left out")
    assert fit_prompt("abc", LOWER).preview is None


def test_a_long_list_is_counted() -> None:
    note = fit_prompt("日本語中文字符", LOWER).note
    assert note is not None
    assert note.endswith("and 2 more.")


def test_an_endless_prompt_is_refused() -> None:
    assert fit_prompt("a" * 100_000, LOWER).note is None
    with pytest.raises(CorpusError, match="100,001 characters") as caught:
        fit_prompt("a" * 100_001, LOWER)
    assert caught.value.subject == "--prompt"


def test_marks_are_shown_by_number() -> None:
    note = fit_prompt("\N{COMBINING GRAVE ACCENT}", LOWER).note
    assert note is not None
    assert not any(map(unicodedata.combining, note))


COMPOSED = Vocabulary.from_symbols("été au pays 한국어")
DECOMPOSED = Vocabulary.from_symbols(unicodedata.normalize("NFD", "été au pays 한국어"))


@pytest.mark.parametrize("text", ["été au pays", "한국어"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize(("form", "vocabulary"), [("NFC", COMPOSED), ("NFD", DECOMPOSED)])
def test_a_prompt_takes_the_unicode_form_of_the_model(
    text: str, typed: str, form: str, vocabulary: Vocabulary
) -> None:
    """C17: composed and decomposed are one text to a reader."""
    fitted = fit_prompt(unicodedata.normalize(typed, text), vocabulary)  # type: ignore[arg-type]
    assert fitted.text == unicodedata.normalize(form, text)  # type: ignore[arg-type]
    assert fitted.note is None


@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize(("form", "vocabulary"), [("NFC", COMPOSED), ("NFD", DECOMPOSED)])
def test_the_form_is_kept_where_another_character_is_unknown(
    typed: str, form: str, vocabulary: Vocabulary
) -> None:
    """C17: one emoji does not cost the accents."""
    fitted = fit_prompt(unicodedata.normalize(typed, "été🎉"), vocabulary)  # type: ignore[arg-type]
    assert fitted.text == unicodedata.normalize(form, "été")  # type: ignore[arg-type]
    assert (fitted.replaced, fitted.dropped) == ((), ("🎉",))
    assert fitted.changed == {"🎉"}


def test_a_prompt_that_is_known_as_it_is_keeps_its_form() -> None:
    both = Vocabulary.from_symbols("eé\N{COMBINING ACUTE ACCENT}")
    for text in ("é", "e\N{COMBINING ACUTE ACCENT}"):
        assert fit_prompt(text, both).text == text
