"""The sanitiser, over every code point that there is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.clusters import MARKS_PER_BASE, REPLACEMENT, is_mark
from tui.sanitise import (
    encodable,
    one_line,
    printable,
    replace_unprintable,
)

EVERYTHING = "".join(map(chr, range(0x110000)))
ALLOWED_FORMAT = {"\u200c", "\u200d"}


def test_every_code_point_gives_one_character_that_no_terminal_obeys() -> None:
    shown = replace_unprintable(EVERYTHING)
    assert len(shown) == 1_114_112
    bad = [
        character
        for character in set(shown)
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        and character not in ALLOWED_FORMAT
    ]
    assert bad == []


def test_what_can_be_shown_is_left_as_it_is() -> None:
    harmless = "The quick brown fox. Жук, 漢字, é, ❤️, 👩‍👩‍👧 ½ “quoted” — dash"
    assert printable(harmless) == harmless


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x00\x07\r\x7f", "␀␇␍␡"),
        ("a\tb", "a b"),
        ("a\nb", "a␊b"),
        ("\x9b31m\x85", f"{REPLACEMENT}31m{REPLACEMENT}"),
        ("\u202e\u2066\u200e\u200f\u061c", REPLACEMENT * 5),
        ("\u200b\u2060\ufeff\u00ad\u2028\u2029", REPLACEMENT * 6),
        ("\ud83d\ue000\uffff\U000e0041", REPLACEMENT * 4),
    ],
)
def test_known_dangers(foreign: str, shown: str) -> None:
    assert printable(foreign) == shown


def test_line_feeds_stay_where_they_are_asked_for() -> None:
    assert printable("a\nb\r", keep_newlines=True) == "a\nb␍"


@given(st.text())
def test_marks_are_capped_and_nothing_else_is_lost(text: str) -> None:
    shown = printable(text)
    assert [c for c in shown if not is_mark(c)] == [
        c for c in replace_unprintable(text) if not is_mark(c)
    ]
    height = 0
    for character in shown:
        height = height + 1 if is_mark(character) else 0
        assert height <= MARKS_PER_BASE


def test_a_tall_stack_of_marks_is_cut() -> None:
    assert printable("e" + "\u0301" * 50 + "x") == "e" + "\u0301" * 4 + "x"


def test_one_line_joins_and_cuts() -> None:
    assert one_line("a\n  b\x1b[2J\tc") == "a b␛[2J c"
    assert one_line("x" * 500, 10) == "x" * 9 + "…"


def test_encodable_text_can_be_written_as_utf_8() -> None:
    assert encodable("a\ud800b").encode() == f"a{REPLACEMENT}b".encode()
