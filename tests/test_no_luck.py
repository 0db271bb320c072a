"""No test counts on the machine being quick: looked for in the source of all of them.

A wait takes its limit from `patience`; a rule about time has a clock that the test moves. What
sleeps, measures time or waits for less stands below with its reason.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PATIENCE

TESTS = Path(__file__).parent
SOURCES = sorted(
    path
    for path in TESTS.rglob("*.py")
    if "benchmarks" not in path.parts and path.name != "patience.py"
)

_TOLD = "tells how long it took, and judges nothing by it"
_NEVER = "waits for what must not happen: a slow machine cannot make it"
_WORK = "counts its own work, and allows many times what it takes"
ALLOWED = {
    "corpus/download/test_download.py test_a_dripping_server_is_left_at_the_deadline": (
        "a server's pace"
    ),
    "corpus/download/test_download.py test_a_dripping_proxy_is_left_at_the_deadline": (
        "a server's pace"
    ),
    "faults/test_hostile_servers.py test_a_proxy_that_drips_is_left_at_the_deadline": (
        "a server's pace"
    ),
    "faults/test_mutants.py test_the_tests_catch_every_mutant": _TOLD,
    "model/runs/test_checkpoint_file.py assert_refused": _WORK,
    "model/training/test_controls.py test_each_wish_wakes_a_paused_training": _NEVER,
    "support/damage_loop.py main": _WORK,
    "support/kill_loop.py slow_down_syncing": "a slow disk",
    "support/kill_loop.py kill_once": "the random moment of a kill",
    "support/terminal_harness.py comes_to": "a limit that its caller gives",
    "support/terminal_harness.py _take_in": "a pause between two looks",
    "terminal/test_app_over_ssh.py cut": _TOLD,
    "terminal/test_bursts.py send_bursts": _TOLD,
    "terminal/test_endings.py end": _TOLD,
    "terminal/test_soak.py soak": "the pace of the keys",
    "terminal/test_stalled_terminal.py train_for": "a share of the time that passed",
    "terminal/test_stalled_terminal.py stall": _TOLD,
    "tui/terminal/test_output.py "
    "test_a_reader_that_stalls_makes_nobody_wait_and_keeps_memory_small": _NEVER,
    "tui/terminal/test_output.py "
    "test_of_what_is_abandoned_only_the_reset_arrives_and_it_comes_last": _NEVER,
    "tui/bad_input/test_bad_texts.py test_a_text_that_cannot_be_used_is_refused_in_one_line": _WORK,
    "tui/bad_input/test_bad_texts.py test_c32_a_line_without_end_wraps_without_stalling": _WORK,
    "tui/app/test_app_screen.py test_a_flood_of_characters_is_taken_in_time": (
        "compares two amounts"
    ),
    "tui/app/test_app_fuzz.py fuzz": _TOLD,
    "tui/cli/test_big_texts.py write_text": "a file has to grow old",
    "tui/cli/test_big_texts.py start": _TOLD,
}
"""Place (file, function) -> why it may."""

SLEEPS = {"time.sleep", "asyncio.sleep"}
CLOCKS = {
    f"time.{name}" for name in ("monotonic", "perf_counter", "time", "thread_time", "process_time")
}
WAITS = {"wait", "join", "settimeout", "pause", "result", "acquire", "get"}
"""Methods whose one argument that is a number is a limit."""
LIMITS = {"timeout", "patience"}
"""Arguments that are one."""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yields every call with the function that it stands in."""

    def walk(node: ast.AST, place: str) -> Iterator[tuple[str, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            inside = place
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not place:
                inside = child.name
            if isinstance(child, ast.Call):
                yield place, child
            yield from walk(child, inside)

    return walk(tree, "")


def numbers_of(tree: ast.Module) -> dict[str, float]:
    """Returns the constants of a module that are numbers, under their names."""
    return {
        ast.unparse(line.targets[0]): line.value.value
        for line in tree.body
        if isinstance(line, ast.Assign)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, int | float)
    }


def is_short(node: ast.AST, numbers: dict[str, float]) -> bool:
    """Tells whether a node is a number of seconds that is less than the patience."""
    value = node.value if isinstance(node, ast.Constant) else numbers.get(ast.unparse(node))
    return isinstance(value, int | float) and value is not True and 0 < value < PATIENCE


def luck_in(call: ast.Call, numbers: dict[str, float]) -> str:
    """Returns what of a call counts on the clock, in words; empty where nothing does."""
    name = ast.unparse(call.func)
    if name in CLOCKS:
        return "measures time"
    if name in SLEEPS:
        is_zero = isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
        return "" if is_zero else "sleeps"
    if name == "pytest.mark.timeout":
        return "" if not is_short(call.args[0], numbers) else "has a short limit"
    if name == "select.select" and len(call.args) == 4 and is_short(call.args[3], numbers):
        return "waits for a short time"
    method = name.rpartition(".")[2]
    if method in WAITS and len(call.args) == 1 and is_short(call.args[0], numbers):
        return "waits for a short time"
    if any(keyword.arg in LIMITS and is_short(keyword.value, numbers) for keyword in call.keywords):
        return "waits for a short time"
    return ""


def found_in(path: Path) -> dict[str, set[str]]:
    """Returns what counts on the clock in each function of a file."""
    found: dict[str, set[str]] = {}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    numbers = numbers_of(tree)
    for function, call in calls(tree):
        if luck := luck_in(call, numbers):
            place = f"{path.relative_to(TESTS)} {function}".strip()
            found.setdefault(place, set()).add(f"line {call.lineno} {luck}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_counts_on_a_quick_machine(path: Path) -> None:
    assert {place: luck for place, luck in found_in(path).items() if place not in ALLOWED} == {}


def test_every_exception_is_one() -> None:
    found = {place for path in SOURCES for place in found_in(path)}
    assert sorted(ALLOWED.keys() - found) == []


def test_a_test_may_take_longer_than_it_waits() -> None:
    settings = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["pytest"]["ini_options"]["timeout"] >= 3 * PATIENCE
