"""Places of words in a written text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.view.find import Place, next_found, places_of
from tui.view.transcript import Transcript


def found(words: str, transcript: Transcript) -> list[Place]:
    return places_of(words, transcript.pieces, first=0)


@given(text=st.text("abA \n", max_size=60), words=st.text("ab", min_size=1, max_size=3))
def test_each_place_holds_the_words_and_none_is_left_out(text: str, words: str) -> None:
    transcript = Transcript(20)
    transcript.append(text)
    places = found(words, transcript)
    assert [text[place.start : place.end].lower() for place in places] == [words] * len(places)
    assert len(places) == text.lower().count(words)


@given(
    parts=st.lists(st.text("abc ", min_size=1, max_size=9), min_size=1, max_size=8),
    width=st.integers(2, 30),
)
def test_a_position_is_the_one_of_the_lines(parts: list[str], width: int) -> None:
    """Marks take a position, and the text goes on behind them."""
    transcript = Transcript(width)
    for part in parts:
        transcript.append(part)
        transcript.mark("<1.20>")
    text = "".join(parts)
    places = found("a", transcript)
    assert len(places) == text.count("a")
    for place in places:
        line = transcript.line(transcript.line_at(place.start))
        shown = {
            piece.start + index: character
            for piece in line
            if piece.kind == "text"
            for index, character in enumerate(piece.text)
        }
        assert shown[place.start] == "a"


def test_words_cross_line_feeds_and_marks_but_no_start_of_a_text() -> None:
    transcript = Transcript(20)
    transcript.append("the sense")
    transcript.mark("<1.20>")
    transcript.append("less of\n\nit. new")
    transcript.restart("new text", "er ")
    assert found("senseless of it", transcript) == [Place(4, 21)]
    assert not found("newer", transcript)
    assert not found("new er", transcript)


def test_case_is_ignored_where_it_changes_the_length() -> None:
    transcript = Transcript(20)
    transcript.append("die Stra\u00dfe ab")
    assert found("STRASSE", transcript) == [Place(4, 10)]
    assert found("ab", transcript) == [Place(11, 13)]


def test_a_search_pattern_is_only_words() -> None:
    transcript = Transcript(20)
    transcript.append("a.c abc [x]* (")
    assert found("a.c", transcript) == [Place(0, 3)]
    assert found("[x]*", transcript) == [Place(8, 12)]


def test_the_search_wraps_around_both_ends() -> None:
    places = [Place(1, 2), Place(5, 6), Place(9, 10)]
    up = next_found("x", places, None, 1)
    assert up is not None
    assert up.number == 3
    numbers = []
    for _ in range(4):
        up = next_found("x", places, up.place, 1)
        assert up is not None
        numbers.append(up.number)
    assert numbers == [2, 1, 3, 2]
    down = next_found("x", places, Place(9, 10), -1)
    assert down is not None
    assert down.number == 1
    assert next_found("x", [], None, 1) is None
