"""The rules of the house: sizes of rooms, files and functions, and the words of docstrings.

The test reads the source with `ast` and imports none of it. `pytest -q tests/test_house.py -s`
also prints the ten longest files and functions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("corpus", "model", "tui")

MAX_FILES_PER_ROOM = 20
MAX_LINES_PER_FILE = 400
MAX_LINES_PER_FUNCTION = 60

PACKAGES_WITH_IMPORTS = ("corpus", "model/events", "tui/start")
"""The first two re-export names; the last one must run before any other import."""

QUAINT = re.compile(
    r"\b(nobody|whoever|so many|anew|dear|of its own|told|is not to be had|likewise)\b",
    re.IGNORECASE,
)
"""Words that a reader of technical English does not expect."""

FUTURE = "from __future__ import annotations"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def file_lengths() -> dict[str, int]:
    return {name_of(path): len(path.read_text().splitlines()) for path in sources()}


def functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    """Yields each function with its qualified name, nested functions included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", child
        inner = f"{prefix}{child.name}." if isinstance(child, Function | ast.ClassDef) else prefix
        yield from functions(child, inner)


def function_lengths() -> dict[str, int]:
    """Returns the number of lines from `def` to the end; decorators do not count."""
    return {
        name: (function.end_lineno or function.lineno) - function.lineno + 1
        for path in sources()
        for name, function in functions(tree_of(path), f"{name_of(path)}:")
    }


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yields line and text of every string that stands as a statement."""
    for node in ast.walk(tree_of(path)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, node.value.value


def longest(lengths: dict[str, int], count: int = 10) -> str:
    ranked = sorted(lengths.items(), key=lambda item: -item[1])[:count]
    return "\n".join(f"{lines:5}  {name}" for name, lines in ranked)


def test_a_room_has_at_most_twenty_files() -> None:
    rooms = {path.parent for path in sources()}
    sizes = {name_of(room): len(list(room.glob("*.py"))) for room in rooms}
    assert not {room: size for room, size in sizes.items() if size > MAX_FILES_PER_ROOM}


def test_a_file_has_at_most_four_hundred_lines() -> None:
    lengths = file_lengths()
    print(f"\n\nLongest files, in lines:\n{longest(lengths)}")
    too_long = {name for name, lines in lengths.items() if lines > MAX_LINES_PER_FILE}
    assert not too_long


def test_a_function_has_at_most_sixty_lines() -> None:
    lengths = function_lengths()
    print(f"\n\nLongest functions, in lines:\n{longest(lengths)}")
    too_long = {name for name, lines in lengths.items() if lines > MAX_LINES_PER_FUNCTION}
    assert not too_long


@pytest.mark.parametrize("path", [p for p in sources() if p.name == "__init__.py"], ids=name_of)
def test_a_package_says_what_it_is_and_imports_nothing(path: Path) -> None:
    tree = tree_of(path)
    assert len((ast.get_docstring(tree) or "").split()) > 1
    if name_of(path.parent) in PACKAGES_WITH_IMPORTS:
        return
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not [ast.unparse(node) for node in imports if ast.unparse(node) != FUTURE]


def test_docstrings_are_plain_english() -> None:
    found = {
        f"{name_of(path)}:{line}: {match[0]}"
        for path in sources()
        for line, text in docstrings(path)
        for match in QUAINT.finditer(" ".join(text.split()))
    }
    assert not found, "\n".join(sorted(found))
