"""A text from a pipe."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from corpus import CorpusError, CorpusOptions, LoadCancelled, Source, load_corpus, resolve_source
from corpus.standard_input import StandardInput

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def source_of(standard_input: StandardInput) -> Source:
    return Source(
        name="stdin",
        specification="-",
        description="",
        label="standard input",
        documents=standard_input.documents,
    )


def test_a_pipe_is_read_once_and_can_be_loaded_twice(pipe: tuple[int, int]) -> None:
    data = "né\r\n".encode() * 500_000

    def write() -> None:
        with os.fdopen(pipe[1], "wb") as file:
            file.write(data)

    writer = Thread(target=write)
    writer.start()
    source = source_of(StandardInput(pipe[0]))
    first = load_corpus(source, CorpusOptions())
    writer.join()
    assert len(first) == 1_500_000
    assert load_corpus(source, CorpusOptions()).sha256 == first.sha256


def test_more_than_the_limit_is_refused(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"x" * 11)
    with pytest.raises(CorpusError, match="more than 10 bytes"):
        list(StandardInput(pipe[0], max_bytes=10).chunks())


def test_waiting_for_a_silent_pipe_can_be_given_up(pipe: tuple[int, int]) -> None:
    answers = iter([False, False, False, False])
    with pytest.raises(LoadCancelled):
        load_corpus(
            source_of(StandardInput(pipe[0])),
            CorpusOptions(),
            cancelled=lambda: next(answers, True),
        )


def test_a_closed_standard_input_is_an_error_in_one_line() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(CorpusError, match="standard input: "):
        list(StandardInput(reader).chunks())


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_the_dash_means_standard_input(name: str) -> None:
    program = (
        "from corpus import *; import sys; source = resolve_source(sys.argv[1]);"
        "corpus = load_corpus(source, CorpusOptions());"
        "print(source.name, source.specification, len(corpus))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, name],
        input=b"hello",
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == [b"stdin", b"-", b"5"]


def test_an_empty_pipe_is_an_empty_text(pipe: tuple[int, int]) -> None:
    os.close(pipe[1])
    with pytest.raises(CorpusError, match="standard input: is empty"):
        load_corpus(source_of(StandardInput(pipe[0])), CorpusOptions())
    assert resolve_source("-").label == "standard input"
