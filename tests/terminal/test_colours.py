"""Every terminal gets the colours that it has and no others: none, sixteen, 256, millions."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from terminal_harness import LONG, Terminal, wait_for_steps

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]
_STYLE = re.compile(rb"\x1b\[([\d;:]*)m")
VIEWS = (("3", "Sampling"), ("4", "Race"), ("5", "Growing up"), ("6", "Events"))
INKS = (r"Ink: surprise", r"Ink: novelty", r"Unit \d|units are ranked")
"""What is said of each; units are known some seconds after the training began."""


def kinds_of_colour(raw: bytes) -> set[str]:
    """Returns which kinds of colour the styles ask for; the terminal's own default is none."""
    kinds = set()
    for parameters in _STYLE.findall(raw):
        numbers = iter(int(number or b"0") for number in re.split(rb"[;:]", parameters))
        for number in numbers:
            if number in (38, 48, 58):
                form = next(numbers)
                kinds.add({5: "256", 2: "millions"}[form])
                for _ in range({5: 1, 2: 3}[form]):
                    next(numbers)
            elif 30 <= number <= 37 or 40 <= number <= 47 or 90 <= number <= 107:
                kinds.add("sixteen")
    return kinds


def walk_through_the_views(app: Terminal) -> None:
    wait_for_steps(app)
    for key, name in VIEWS:
        if f" {key} {name}" not in app.text:
            app.send(key)
        app.wait_for_text(f" {key} {name}")
    for ink in INKS:
        app.send("c")
        app.wait_for(lambda ink=ink: re.search(ink, app.text), why=ink)  # type: ignore[misc]
    app.send("?")
    app.wait_for_text("─ Help ─")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"NO_COLOR": "1"}, set()),
        pytest.param({"NO_COLOR": "1", "COLORTERM": "truecolor"}, set(), marks=pytest.mark.slow),
        pytest.param({"TERM": "xterm"}, {"sixteen"}, marks=pytest.mark.slow),
        ({"TERM": "xterm-16color"}, {"sixteen"}),
        pytest.param({"TERM": "xterm-256color"}, {"256"}, marks=pytest.mark.slow),
        ({"COLORTERM": "truecolor"}, {"millions"}),
    ],
    ids=["NO_COLOR", "NO_COLOR and truecolor", "sixteen by default", "sixteen", "256", "millions"],
)
def test_no_view_asks_for_colours_that_the_terminal_lacks(
    changes: dict[str, str], expected: set[str], open_app: OpenApp
) -> None:
    app = open_app("words.txt", *LONG, columns=200, rows=60, **changes)
    walk_through_the_views(app)
    assert kinds_of_colour(bytes(app.raw)) == expected
    assert _STYLE.search(bytes(app.raw)), "bold and underlined stay"
