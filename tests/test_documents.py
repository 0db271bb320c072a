"""What README and the documents name exists: commands, options, targets, files, links, keys."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from model.presets import PRESETS
from tui.cli.main import COMMANDS, OWN_OPTIONS, CommandLine
from tui.config.keys import KEYS
from tui.console import exit_status

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
    if path.name != "CHANGELOG.md"  # which tells of what is gone, too
)
RECORDING = ROOT / "tests" / "benchmarks" / "recordings" / "nietzsche.jsonl"
PASSED_ON = {"serve": ("(app)", "watch")}
"""Commands that take the options of others as well."""
ARGUMENTS = re.compile(r"(?<![\w/.-])charlm-tui(?= |$)([^|;&)`]*)")


def spans(path: Path) -> Iterator[str]:
    """Yields the pieces of code of a document: indented lines, and words between backticks."""
    text = path.read_text(encoding="utf-8")
    yield from (line.strip() for line in text.splitlines() if line.startswith("    "))
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))


@cache
def options_of(name: str) -> frozenset[str]:
    """Returns the names of all options of a command."""
    group = CommandLine("charlm-tui")
    command = group.get_command(click.Context(group), name)
    assert command is not None
    names = {opt for param in command.params for opt in (*param.opts, *param.secondary_opts)}
    for other in PASSED_ON.get(name, ()):
        names |= options_of(other)
    return frozenset(names)


def every_option() -> set[str]:
    return {option for name in COMMANDS for option in options_of(name)} | set(OWN_OPTIONS)


def commands_in(path: Path) -> Iterator[list[str]]:
    """Yields the words after each ``charlm-tui`` of a document's code."""
    for span in spans(path):
        for found in ARGUMENTS.finditer(re.sub(r"\s#.*", "", span)):
            yield shlex.split(found[1].replace("'", "").replace('"', ""))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_of_a_named_command_exists(path: Path) -> None:
    unknown = []
    for words in commands_in(path):
        name = words[0] if words and words[0] in COMMANDS else "(app)"
        allowed = {*options_of(name), *OWN_OPTIONS, "--debug"}
        unknown += [(name, word) for word in words if word.startswith("--") and word not in allowed]
    for span in spans(path):
        if span.startswith("--"):
            unknown += [
                ("(any)", word)
                for word in re.findall(r"(?:^| )(--[a-z][a-z-]*)", span)
                if word not in every_option() | {"--debug"}
            ]
    assert unknown == []


def test_readme_shows_every_command() -> None:
    named = {words[0] for words in commands_in(ROOT / "README.md") if words}
    assert {name for name in COMMANDS if name != "(app)"} <= named


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)(?:#([^)]*))?\)", text)
    lost = [
        target
        for target, anchor in targets
        if not target.startswith("https://")
        and not ((path.parent / target).exists() and _has(path.parent / target, anchor))
    ]
    assert lost == []


def _has(path: Path, anchor: str) -> bool:
    """Tells whether a document has the heading of an anchor."""
    if not anchor:
        return True
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_named_target_and_file_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lost = []
    for span in spans(path):
        if target := re.match(r"make ([a-z-]+)", span):
            lost += [] if re.search(rf"^{target[1]}:", makefile, re.MULTILINE) else [span]
        if re.fullmatch(r"(?:tests|docs|tui|model|corpus)/[\w/.*-]+", span):
            lost += [] if _is_there(span) else [span]
    assert lost == []


def _is_there(span: str) -> bool:
    """Tells whether a path exists; documents of tests name those without their folder."""
    return any(list(folder.glob(span.rstrip("/"))) for folder in (ROOT, ROOT / "tests"))


def test_the_index_names_every_document() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in names if f"]({name})" not in index} == set()


def test_the_table_of_exit_statuses_is_whole() -> None:
    table = (ROOT / "docs" / "exit-status.md").read_text(encoding="utf-8")
    listed = {int(number) for number in re.findall(r"^\| (\d+)\b", table, re.MULTILINE)}
    constants = {
        value
        for name, value in vars(exit_status).items()
        if name.isupper() and isinstance(value, int) and name != "MAX_LINE_CHARACTERS"
    }
    assert listed == constants | {0}


def test_readme_lists_every_preset() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(PRESETS)


def test_the_keys_of_readme_are_keys() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    line = text[text.index("Six keys:") : text.index("\n\n", text.index("Six keys:"))]
    assert len(re.findall(r"`([^`]+)`", line)) == 6
    assert set(re.findall(r"`([^`]+)`", line)) <= {key.shown for key in KEYS}


def test_the_three_lines_of_readme_are_those_of_the_recorded_training() -> None:
    noted = json.loads(RECORDING.read_text(encoding="utf-8").splitlines()[0])["noted"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| \d+ (?:s|min) \| `(.+)` \|$", text, re.MULTILINE)
    assert len(lines) == len(noted) == 3
    for line, entry in zip(lines, noted, strict=True):
        assert line in entry["text"]
