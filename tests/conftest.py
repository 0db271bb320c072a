"""What all tests share: nothing that one does reaches the next, and their figures are printed."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import settings
from terminal_harness import ENDING_SIGNALS

from corpus.files import missing_guarantees

FIGURES = pytest.StashKey[list[str]]()
"""What tests counted: printed at the end, also where all is well."""

# Whoever runs the tests may have a file of settings.
os.environ["CHARLM_CONFIG"] = os.devnull + ".toml"

# A program that a signal ends leaves its memory in a file, if the system allows it.
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

# A machine that does other work meanwhile is slow now and then, and that proves nothing.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def floating_point_as_it_was() -> Iterator[None]:
    """Undoes the training's mode of rounding numbers near zero to zero: it is the thread's own."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def nothing_is_missing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file system lacks is said once a process, and a test is one."""
    monkeypatch.setattr(missing_guarantees, "_said", set())
    monkeypatch.setattr(missing_guarantees, "_waiting", [])


@pytest.fixture(scope="session", autouse=True)
def _signals_as_in_a_shell() -> None:
    """Lets programs that tests start hear signals that a shell in the background has ignored."""
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Takes a sentence with a count for the summary."""
    return pytestconfig.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.line(line)
