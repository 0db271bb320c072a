"""Reads our own source: no text that is not a literal is handed to Textual as markup.

What looks like ``[/]`` or ``[@click=...]`` in a text ends the app or runs an action where Textual
takes it for markup. ``Content`` and ``Text`` hold text as it is; ``markup=False`` says so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tui

CALLS = frozenset(
    {
        *("Static", "Label", "Button", "Checkbox", "RadioButton", "Option", "Link", "Collapsible"),
        *("notify", "Toast", "Tab", "TabPane", "Rule", "OptionList", "SelectionList"),
    }
)
"""Whose first argument is shown, and is markup unless something says that it is not."""
NAMES = frozenset({"border_title", "border_subtitle", "tooltip"})
"""Attributes and arguments that are markup, too."""
SAFE_MAKERS = frozenset({"Content", "Text"})
OWN_WORDS = {
    # Attributes fed by figures and words of our own, without a bracket: what they hold, and where.
    ("pane_screen.py", "f'{pane.digit} {pane.name}'"),
    ("pane_screen.py", "self.race.words"),
    ("pane_screen.py", "title"),
    ("pane_screen.py", "words"),
    ("alternatives.py", "f'arrows move, {keys}' if wide else keys"),
    ("menu.py", "self._title"),
    ("compare_screen.py", "f'Validation, {unit}'"),
    ("keys.py", "tooltip"),
    ("acting_keys.py", "key.tooltip"),
}


def is_safe(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return True
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in SAFE_MAKERS
    )


def name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def shown_values(tree: ast.AST) -> Iterator[ast.expr]:
    """Yields the expressions that Textual would take for markup."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            plain = any(
                word.arg == "markup"
                and isinstance(word.value, ast.Constant)
                and word.value.value is False
                for word in node.keywords
            )
            if name_of(node.func) in CALLS and not plain and node.args:
                yield node.args[0]
            if name_of(node.func) == "update" and len(node.args) == 1 and not plain:
                receiver = ast.unparse(node.func)
                if "Static" in receiver or "note" in receiver or "Label" in receiver:
                    yield node.args[0]
            yield from (word.value for word in node.keywords if word.arg in NAMES)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in NAMES:
                    yield node.value


def findings(source: str, name: str) -> list[str]:
    return [
        f"{name}:{value.lineno}: {ast.unparse(value)}"
        for value in shown_values(ast.parse(source))
        if not is_safe(value) and (name, ast.unparse(value)) not in OWN_WORDS
    ]


def test_no_foreign_text_is_handed_over_as_markup() -> None:
    found = []
    for path in sorted(Path(next(iter(tui.__path__))).rglob("*.py")):
        found += findings(path.read_text(encoding="utf-8"), path.name)
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "Static(name)",
        "Button(f'{name}', id='x')",
        "self.notify(str(error))",
        "frame.border_title = run",
        "Widget(tooltip=path)",
        "self.query_one('#x', Static).update(words)",
    ],
)
def test_what_would_be_markup_is_found(source: str) -> None:
    assert findings(source, "x.py")


@pytest.mark.parametrize(
    "source",
    [
        "Static(Content(name))",
        "Button('plain')",
        "self.notify(str(error), markup=False)",
        "frame.border_title = 'Runs'",
        "note.update(Content(words))",
    ],
)
def test_what_is_safe_is_left_alone(source: str) -> None:
    assert not findings(source, "x.py")
