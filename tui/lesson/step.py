"""Reads a step of the lesson: a Markdown file with a title, conditions, sentences and tasks.

    ---
    title: Cold
    wait_for: temperature <= 0.25; repeats >= 4
    ---
    Sentences. A key is written as {key:temperature.far_down}, a figure as {figure:uniform}.

    - [ ] What to do for the first condition.
    - [ ] What to do for the second one.

Each condition has one task, in the same order. ``**bold**`` is the only other mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tui.lesson.conditions import Condition, parsed

FIGURES: Final = ("uniform", "vocabulary")
"""Figures of the run that a text can name."""
_TASK: Final = "- [ ] "
_MARK: Final = re.compile(r"\{(key|figure):([a-z_.]+)\}|\*\*([^*]+)\*\*")

Kind = Literal["text", "bold", "key", "figure"]
Mark = tuple[Kind, str]
"""A piece of a text: words, or the id of a key, or the name of a figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step in one language."""

    title: str
    conditions: tuple[Condition, ...]
    """What the step waits for, in this order."""
    sentences: str
    tasks: tuple[str, ...]
    """What to do, one text for each condition."""

    @property
    def names(self) -> frozenset[tuple[Kind, str]]:
        """Keys and figures that the texts name."""
        texts = (self.sentences, *self.tasks)
        pieces = (piece for text in texts for piece in pieces_of(text))
        return frozenset(piece for piece in pieces if piece[0] in {"key", "figure"})


def read_step(file: str) -> Step:
    """Returns the step that a file holds.

    Args:
        file: the content of the file.

    Raises:
        ValueError: the file has no head, an unknown condition, or another number of tasks.
    """
    nothing, head, body = file.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    waits = fields.get("wait_for", "")
    conditions = tuple(parsed(words) for words in waits.split(";") if words.strip())
    lines = body.strip().splitlines()
    tasks = tuple(line.removeprefix(_TASK) for line in lines if line.startswith(_TASK))
    if nothing or len(tasks) != len(conditions):
        raise ValueError(
            f"{fields['title']!r}: {len(tasks)} tasks for {len(conditions)} conditions"
        )
    sentences = "\n".join(line for line in lines if not line.startswith(_TASK)).strip()
    return Step(title=fields["title"], conditions=conditions, sentences=sentences, tasks=tasks)


def pieces_of(text: str) -> Iterator[Mark]:
    """Yields the pieces of a text in order."""
    end = 0
    for match in _MARK.finditer(text):
        if match.start() > end:
            yield "text", text[end : match.start()]
        kind, name, bold = match.groups()
        if bold is not None:
            yield "bold", bold
        else:
            yield ("key" if kind == "key" else "figure"), name
        end = match.end()
    if end < len(text):
        yield "text", text[end:]
