"""What the tests in a real terminal share: a folder with a text, and the app on it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from patience import PATIENCE
from terminal_harness import PROGRAM, TINY, Terminal, make_environment, make_words
from tmux_server import Tmux, tmux_server

OpenApp = Callable[..., Terminal]


@pytest.fixture
def open_app(tmp_path: Path) -> Iterator[OpenApp]:
    """Opens the app in a terminal, and ends what of it is left."""
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    with ExitStack() as terminals:

        def opened(
            *arguments: str,
            columns: int = 80,
            rows: int = 24,
            ignored: tuple[int, ...] = (),
            **changes: str,
        ) -> Terminal:
            return terminals.enter_context(
                Terminal(
                    [PROGRAM, *arguments],
                    environment=make_environment(tmp_path, **changes),
                    folder=tmp_path,
                    columns=columns,
                    rows=rows,
                    ignored_signals=ignored,
                )
            )

        yield opened


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """A tmux server for the test alone."""
    with tmux_server(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the run ``before``, which came to its end and may be trained further."""
    home = tmp_path_factory.mktemp("trained")
    (home / "words.txt").write_text(make_words(), encoding="utf-8")
    subprocess.run(
        [PROGRAM, "train", "words.txt", "--run", "before", "--epochs", "1", *TINY],
        env=make_environment(home),
        cwd=home,
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    return home
