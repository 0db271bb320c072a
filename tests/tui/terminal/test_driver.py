"""What terminals send and are: bytes of every kind, sizes without reason."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from patience import PATIENCE, moments
from textual.events import Key, MouseDown, Paste
from textual.geometry import Size

pytest.importorskip("termios")

from tui.terminal.driver import TerminalDriver
from tui.terminal.pastes import END, MAX_PASTED_CHARACTERS, START, Part, Pastes
from tui.terminal.sizes import within_reason


class Listening(TerminalDriver):
    """A driver whose keyboard is a pipe and whose messages go into a list."""

    def __init__(self, keyboard: int) -> None:
        self.fileno = keyboard
        self.exit_event = threading.Event()
        self.heard: list[Any] = []
        self.lost = threading.Event()
        self._debug = False
        self._host: Any = self
        self._app = None  # type: ignore[assignment]
        self._in_band_window_resize = False
        self._down_buttons = []
        self.cursor_origin = None

    def lose_terminal(self) -> None:
        self.lost.set()

    def send_message(self, message: Any) -> None:
        self.heard.append(message)


@contextmanager
def listening() -> Iterator[tuple[Listening, int]]:
    keyboard, fingers = os.pipe()
    driver = Listening(keyboard)
    thread = threading.Thread(target=driver.run_input_thread, daemon=True)
    thread.start()
    try:
        yield driver, fingers
    finally:
        driver.exit_event.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def wait_for_key(driver: Listening, key: str) -> None:
    for _ in moments():
        if any(isinstance(message, Key) and message.key == key for message in driver.heard):
            return


@pytest.mark.parametrize(
    "typed",
    [b"\xff", b"\xfe\xff\x80\xc0\xaf", b"\xed\xa0\x80", b"\x1b[48;x;99;0;0t", b"\x00\x04\x1a"],
    ids=repr,
)
def test_bytes_that_are_no_text_do_not_end_the_reading(typed: bytes) -> None:
    with listening() as (driver, fingers):
        os.write(fingers, typed)
        os.write(fingers, b"q")
        wait_for_key(driver, "q")


def test_a_parser_that_fails_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (driver, fingers):
        os.write(fingers, b"a")
        wait_for_key(driver, "a")

        def fail(_text: str) -> Iterator[Any]:
            raise ZeroDivisionError

        broken = driver._parser
        monkeypatch.setattr(broken, "feed", fail)
        os.write(fingers, b"x")
        for _ in moments():
            if driver._parser is not broken:
                break
        os.write(fingers, b"q")
        wait_for_key(driver, "q")


def test_the_end_of_input_is_a_hang_up_and_ends_the_reading() -> None:
    with listening() as (driver, fingers):
        os.close(fingers)
        assert driver.lost.wait(PATIENCE)


def test_a_reported_size_is_kept_within_reason() -> None:
    with listening() as (driver, fingers):
        os.write(fingers, b"\x1b[48;99999;99999;0;0t")
        for _ in moments():
            if driver.heard:
                break
        assert driver.heard[0].size == Size(1000, 500)


def test_a_paste_arrives_whole() -> None:
    with listening() as (driver, fingers):
        os.write(fingers, b"\x1b[200~" + b"a" * 3000 + b"\x1b[201~")
        for _ in moments():
            if driver.heard:
                break
        assert isinstance(driver.heard[0], Paste)


@pytest.mark.parametrize("cut", range(1, 6))
@pytest.mark.parametrize("cut_of_start", [0, 3, 5])
def test_a_paste_ends_where_its_end_arrives_in_parts(
    cut: int, cut_of_start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow line a marker is not always in one packet; then no key was heard any more."""
    now = 0.0
    monkeypatch.setattr("textual._parser.get_time", lambda: now)
    with listening() as (driver, fingers):
        os.write(fingers, b"k")
        wait_for_key(driver, "k")  # the thread has made a parser; below it is fed by hand
    pieces = [START[:cut_of_start], START[cut_of_start:] + "some\x1b[Atext", END[:cut]]
    for piece in (*pieces, END[cut:] + "q"):
        driver._understand(piece)
        now += 10
        driver._understand("")
    assert [type(message) for message in driver.heard] == [Key, Paste, Key]
    assert driver.heard[1].text == "some\x1b[Atext"


@pytest.mark.parametrize("cut", [3, 5, 9])
def test_a_click_that_arrives_in_parts_types_nothing(
    cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("textual._parser.get_time", lambda: now)
    with listening() as (driver, fingers):
        os.write(fingers, b"k")
        wait_for_key(driver, "k")
    click = "\x1b[<0;20;10M"
    for piece in (click[:cut], click[cut:], "q"):
        driver._understand(piece)
        now += 10
        driver._understand("")
    assert [type(message) for message in driver.heard] == [Key, MouseDown, Key]


@given(
    st.lists(st.sampled_from(["a", "\x1b", "[", "2", "\x1b[A", START, END, "é"]), max_size=30),
    st.data(),
)
def test_keys_and_pastes_are_the_same_wherever_packets_are_cut(
    typed: list[str], data: st.DataObject
) -> None:
    text = "".join(typed)
    whole, cut = Pastes(), Pastes()
    expected = list(whole.split(text))
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in pairwise([0, *places, len(text)])]
    assume(not any(START.startswith(piece[-n:]) for piece in pieces for n in (1, 2) if piece))
    found = [part for piece in pieces for part in cut.split(piece)]
    assert joined(found) == joined(expected)


def joined(parts: Iterable[Part]) -> list[Part]:
    """Returns the parts, keys that lie side by side in one."""
    together: list[Part] = []
    for part in parts:
        goes_on = together and not part.is_pasted and not together[-1].is_pasted
        before = together.pop().text if goes_on else ""
        together.append(Part(before + part.text, part.is_pasted))
    return together


def test_a_paste_without_an_end_takes_a_bounded_amount_of_memory() -> None:
    pastes = Pastes()
    list(pastes.split(START))
    for _ in range(20):
        assert list(pastes.split("x" * 100_000)) == []
    (part,) = pastes.split(END)
    assert part == Part("x" * MAX_PASTED_CHARACTERS, is_pasted=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [((0, 0), (1, 1)), ((80, 24), (80, 24)), ((99999, 5), (1000, 5)), ((-3, 2000), (1, 500))],
)
def test_within_reason(given: tuple[int, int], expected: tuple[int, int]) -> None:
    assert within_reason(*given) == expected
