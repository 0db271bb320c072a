"""The larger width counts, and what follows a narrower character stands where it belongs."""

from __future__ import annotations

import ctypes
import locale
import unicodedata

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tui.sanitise import drawn, printable
from tui.terminal.output import AS_WIDE
from tui.terminal.placed_update import placed
from tui.view.line_wrapper import LineWrapper
from tui.view.transcript import Transcript
from tui.widths import cells_of, count_our_widths, is_disputed

HINDI = "निर्माणाधीनविश्वविद्यालयकेविद्यार्थियोंकोहिन्दीभाषामें"
TEXTS = (
    HINDI,
    "กาลครั้งหนึ่งนานมาแล้ว",
    unicodedata.normalize("NFD", "옛날옛적에호랑이가"),
    "👍🏽👩🏿🎉🏻👋🏼🇩🇪",
    "a" + "\u093e" * 90,
    "\u093e\u093f",
    "g\u030a日本\u302eกำ\u3164x",
)
MIXED = "हि \u093eा👍🏽ab\n日ำ์"


def test_no_character_takes_more_cells_than_we_count() -> None:
    """C16: by the C library, which is what tmux and most programs ask."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        pytest.skip("this system has no C.UTF-8")
    try:
        width = ctypes.CDLL(None).wcwidth
        width.argtypes = [ctypes.c_int32]
        shown = (chr(code) for code in range(0x20, 0x110000) if not 0xD800 <= code < 0xE000)
        wider = [
            f"U+{ord(character):04X}"
            for character in shown
            if drawn(character) == character and width(ord(character)) > cells_of(character)
        ]
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    assert wider == []


def test_rich_and_textual_count_as_we_do() -> None:
    count_our_widths()
    count_our_widths()
    for code in range(0x20, 0x20000):
        character = chr(code)
        if printable(character) == character:
            assert get_character_cell_size(character) == cells_of(character), hex(code)
    assert cell_len("हि👍🏽") == 5
    assert Strip([Segment("हि👍🏽")]).cell_length == 5


@given(
    text=st.lists(
        st.sampled_from(TEXTS) | st.text(st.sampled_from("हि \u093eा👍🏽ab\n日ำ์")), max_size=8
    ).map("".join),
    width=st.integers(2, 12),
)
def test_no_line_is_wider_than_the_pane_in_any_terminal(text: str, width: int) -> None:
    count_our_widths()
    transcript = Transcript(width)
    for character in text:
        transcript.append(character)
    whole = Transcript(width)
    whole.append(text)
    lines = [
        "".join(piece.text for piece in transcript.line(index))
        for index in range(transcript.line_count)
    ]
    assert all(sum(map(cells_of, line)) <= width for line in lines)
    assert transcript.cursor_cell == sum(map(cells_of, lines[-1]))
    assert [whole.line(index) for index in range(whole.line_count)] == [
        transcript.line(index) for index in range(transcript.line_count)
    ]


def test_a_vowel_sign_goes_where_its_letter_goes() -> None:
    wrapper = LineWrapper(4)
    wrapper.add("अअअहि", "text")
    lines = ["".join(piece.text for piece in line) for _, line in wrapper.finished]
    assert lines == ["अअअ"]
    assert "".join(piece.text for piece in wrapper.open_line) == "हि"


# --- a terminal that gives these marks no cell ----------------------------------------------------


def shown(update: object) -> list[str]:
    count_our_widths()
    screen = pyte.Screen(20, 2)
    stream = pyte.Stream(screen)
    stream.feed("\x1b[1;1H" + "#" * 20 + "\x1b[2;1H" + "#" * 20)
    made = placed(update)  # type: ignore[arg-type]
    assert isinstance(made, LayoutUpdate | ChopsUpdate)
    console = Console(force_terminal=True, color_system="truecolor")
    stream.feed(made.render_segments(console))
    return list(screen.display)


def strips(text: str) -> list[Strip]:
    style = Style(color="red")
    middle = Strip([Segment(text, style)]).adjust_cell_length(18, style)
    return [Strip([Segment("[", style)]), middle, Strip([Segment("]", style)])]


@pytest.mark.parametrize("text", ["हि" * 5, "plain", "日本", "क्षि" * 3, "㉈㉈", "ab\u0903c"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_the_border_is_placed_where_a_terminal_counts_less(text: str, is_whole: bool) -> None:
    count_our_widths()
    row = strips(text)
    update: LayoutUpdate | ChopsUpdate = LayoutUpdate([row, row], Region(0, 0, 20, 2))
    if not is_whole:
        chops = dict(zip((0, 1, 19), row, strict=True))
        update = ChopsUpdate([chops, chops], [(0, 0, 20), (1, 0, 20)], [[1, 19, 20]] * 2)
    for line in shown(update):
        assert line.startswith("[")
        assert line.rstrip().endswith("]")
        assert "#" not in line
    screen = pyte.Screen(20, 2)
    pyte.Stream(screen).feed(placed(update).render_segments(Console(force_terminal=True)))  # type: ignore[union-attr]
    for y in range(2):
        assert screen.buffer[y][19].data == "]"


def test_what_is_not_disputed_is_sent_as_textual_sends_it() -> None:
    row = strips("plain 日本 é")
    update = LayoutUpdate([row, row], Region(0, 0, 20, 2))
    console = Console(force_terminal=True, color_system="truecolor")
    made = placed(update)
    assert isinstance(made, LayoutUpdate)
    first, second = made.render_segments(console), update.render_segments(console)
    assert first == second
    assert not is_disputed("plain 日本 é")


def test_what_a_terminal_cannot_encode_takes_the_cells_that_were_counted() -> None:
    """C15: a question mark for a wide character drew the border one cell to the left."""
    assert "日e\u0301é👍◑x\udcff".encode("latin-1", AS_WIDE) == b"??e\xe9???x?"
    assert "日".encode("utf-8", AS_WIDE).decode() == "日"
