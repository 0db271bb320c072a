"""The screen of the terminal harness, where pyte's own would fail."""

from __future__ import annotations

import pyte
from terminal_harness import Screen


def test_a_wide_character_that_is_half_overwritten_leaves_a_space() -> None:
    screen = Screen(6, 2)
    stream = pyte.Stream(screen)
    stream.feed("a漢b\x1b[1;2Hx")
    assert screen.display == ["ax b  ", " " * 6]
    stream.feed("\x1b[2;1H漢字")
    assert screen.display[1] == "漢字  "
