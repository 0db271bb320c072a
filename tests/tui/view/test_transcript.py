"""The transcript: wrapping piece by piece gives what wrapping the whole gives."""

# ruff: noqa: RUF001 - the marks of the screen are single angle quotation marks

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.sanitise import replace_unprintable
from tui.view.line_wrapper import LineWrapper
from tui.view.transcript import Transcript

TEXTS = st.text(
    st.one_of(
        st.sampled_from("abcdefgh    \n"),
        st.sampled_from("漢字👩\u200d\u0301\ufe0f❤\t\x1b\u202e"),
        st.characters(),
    ),
    max_size=200,
)
WIDTHS = st.integers(1, 30)


def lines_of(transcript: Transcript) -> list[str]:
    return [
        "".join(piece.text for piece in transcript.line(index))
        for index in range(transcript.line_count)
    ]


def cut(text: str, sizes: list[int]) -> list[str]:
    parts, start = [], 0
    for size in sizes:
        parts.append(text[start : start + size])
        start += size
    return [*parts, text[start:]]


@given(TEXTS, WIDTHS)
def test_no_line_is_wider_than_the_pane(text: str, width: int) -> None:
    transcript = Transcript(width)
    transcript.append(text)
    assert all(cell_len(line) <= transcript.width for line in lines_of(transcript))
    assert cell_len(lines_of(transcript)[-1]) == transcript.cursor_cell


@given(TEXTS, WIDTHS, st.lists(st.integers(0, 9), max_size=40))
def test_piece_by_piece_gives_the_same_lines_as_at_once(
    text: str, width: int, sizes: list[int]
) -> None:
    whole, pieces = Transcript(width), Transcript(width)
    whole.append(text)
    for part in cut(text, sizes):
        pieces.append(part)
    assert lines_of(pieces) == lines_of(whole)
    assert pieces.text == whole.text == text


@given(TEXTS, WIDTHS, WIDTHS)
def test_a_change_of_width_gives_what_that_width_would_have_given(
    text: str, before: int, after: int
) -> None:
    changed, fresh = Transcript(before), Transcript(after)
    for transcript in (changed, fresh):
        transcript.restart("seed 1", "Once ")
        transcript.append(text)
        transcript.mark("‹0.80›")
        transcript.append("x y")
        transcript.restart("seed 2", "")
        transcript.append(text)
    changed.set_width(after)
    assert lines_of(changed) == lines_of(fresh)


@given(TEXTS, WIDTHS)
def test_words_are_kept_and_in_order(text: str, width: int) -> None:
    wrapper = LineWrapper(width)
    shown = replace_unprintable(text, keep_newlines=True)
    wrapper.add(shown, "text")
    lines = [line for _, line in wrapper.finished] + [wrapper.open_line]
    joined = "".join(piece.text for line in lines for piece in line)
    plain = [c for c in joined if c.isalpha()]
    assert [c for c in plain if c.isascii()] == [c for c in shown if c.isascii() and c.isalpha()]
    starts = [start for start, _ in wrapper.finished] + [wrapper.open_start]
    assert starts == sorted(starts)
    assert wrapper.position == len(shown)


@given(st.lists(TEXTS, max_size=20))
@example(["\n", "\n"])
def test_only_the_end_of_a_long_text_is_kept(texts: list[str]) -> None:
    transcript = Transcript(20, maximum_characters=50)
    for text in texts:
        transcript.append(text)
    assert transcript.text == "".join(texts)[-50:]


@pytest.mark.parametrize("word", ["wonderful", "wünderful", "чудесный"])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_word_moves_to_the_next_line_as_it_grows(word: str, at_once: bool) -> None:
    transcript = Transcript(10)
    for piece in [f"hello {word}"] if at_once else f"hello {word}":
        transcript.append(piece)
    assert lines_of(transcript) == ["hello ", word]


def test_marks_in_a_row_collapse_to_the_last() -> None:
    transcript = Transcript(40)
    transcript.append("ab")
    transcript.mark("‹0.80›")
    transcript.mark("‹0.85›")
    transcript.append("c")
    assert lines_of(transcript) == ["ab‹0.85›c"]
    assert transcript.text == "abc"
    transcript.mark("‹0.90›")
    transcript.unmark()
    assert lines_of(transcript) == ["ab‹0.85›c"]


def test_a_mark_is_a_piece_of_its_own() -> None:
    transcript = Transcript(40)
    transcript.append("‹0.80›")
    transcript.mark("‹0.80›")
    assert [piece.kind for piece in transcript.line(0)] == ["text", "mark"]


def test_a_restart_begins_with_a_rule_and_the_prompt() -> None:
    transcript = Transcript(40)
    transcript.restart("seed 1", "Once ")
    transcript.append("upon")
    transcript.restart("seed 2", "Then ")
    transcript.append("again")
    assert lines_of(transcript) == ["Once upon", "seed 2", "Then again"]
    assert [piece.kind for piece in transcript.line(1)] == ["rule"]
    assert transcript.current_text == "Then again"
    assert transcript.text == "Once upon\n\nThen again"


def test_lines_are_bounded_and_the_place_is_known() -> None:
    transcript = Transcript(10, maximum_lines=100)
    for number in range(1_000):
        transcript.append(f"{number:04d}\n")
    assert transcript.line_count <= 111
    assert transcript.trimmed == 1_001 - transcript.line_count
    assert transcript.line(0)[0].text == f"{transcript.trimmed:04d}"


def test_the_readers_place_survives_a_change_of_width() -> None:
    transcript = Transcript(40)
    transcript.append(" ".join(f"word{number:03d}" for number in range(300)))
    first = transcript.line(20)[0].text.split()[0]
    place = transcript.place_of(20)
    transcript.set_width(17)
    assert first in transcript.line(transcript.line_at(place))[0].text
