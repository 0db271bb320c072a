"""Output that never makes anybody wait."""

from __future__ import annotations

import os
import select
import threading

import pytest
from patience import moments

from tui.terminal.output import BYTES_BEHIND, MAX_QUEUED_BYTES, RESET, TerminalOutput

PIPE = 65536


@pytest.fixture
def pipe() -> tuple[int, int]:
    return os.pipe()


def test_what_is_written_arrives_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = TerminalOutput(writer)
    for number in range(100):
        output.write(f"{number},")
    assert output.drain()
    expected = "".join(f"{number}," for number in range(100))
    assert os.read(reader, 4096).decode() == expected


def test_a_reader_that_stalls_makes_nobody_wait_and_keeps_memory_small(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    news: list[bool] = []
    output = TerminalOutput(writer, on_backlog=news.append)
    written = 0
    while (
        written < 3 * MAX_QUEUED_BYTES
    ):  # a pipe holds `PIPE` bytes: without a thread this would never end
        output.write("x" * 10_000)
        written += 10_000
    assert news == [True]
    assert output.forgotten
    assert not output.drain(patience=0.1)
    taken = 0
    while not output.drain(patience=0.01):
        if select.select([reader], [], [], 0)[0]:
            taken += len(os.read(reader, PIPE))
    assert taken <= MAX_QUEUED_BYTES + PIPE, (
        "the thread may have filled the pipe before the queue was full"
    )
    for _ in moments():
        if news == [True, False]:
            break


def test_news_come_in_order_however_quickly_the_reader_takes_them(pipe: tuple[int, int]) -> None:
    """A terminal that fell behind and caught up at once must not be taken for one behind."""
    reader, writer = pipe
    news: list[bool] = []
    output = TerminalOutput(writer, on_backlog=news.append)
    ended = threading.Event()

    def read_all() -> None:
        while os.read(reader, 65536):
            pass
        ended.set()

    threading.Thread(target=read_all, daemon=True).start()
    for _ in range(400):
        output.write("x" * (BYTES_BEHIND + 1))
        output.drain()
    for _ in moments():
        if len(news) % 2 == 0:
            break
    assert news == [True, False] * (len(news) // 2)
    os.close(writer)


def test_of_what_is_abandoned_only_the_reset_arrives_and_it_comes_last(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    output = TerminalOutput(writer)
    while not output.forgotten:
        output.write("\x1b[38;2;100;100;100mx" * 1000)
    assert not output.drain(patience=0.1)
    output.abandon()
    output.write("after the end")
    taken = b""
    while not output.drain(patience=0.01):
        # The thread may have written all and not said so yet: a plain read would wait for ever.
        if select.select([reader], [], [], 0)[0]:
            taken += os.read(reader, 65536)
    os.close(writer)
    taken += os.read(reader, 65536)
    assert taken.count(RESET) == 1
    assert taken.endswith(RESET)
    assert len(taken) < MAX_QUEUED_BYTES / 4, "a pipe holds 64 KiB"


def test_what_was_written_in_time_is_not_abandoned(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = TerminalOutput(writer)
    output.write("all")
    assert output.drain()
    output.abandon()
    output.write(" of it")
    assert output.drain()
    assert os.read(reader, 100) == b"all of it"


def test_a_terminal_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    output = TerminalOutput(writer)
    output.write("into the void")
    assert output.drain()
    assert output.is_dead
    output.write("again")
    assert output.drain()


def test_what_the_terminal_cannot_show_becomes_as_many_question_marks_as_it_has_cells(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    output = TerminalOutput(writer, encoding="latin-1")
    output.write("é漢\ud83d")
    assert output.drain()
    assert os.read(reader, 100) == b"\xe9???"
