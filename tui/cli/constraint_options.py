"""The options of what the writing may do; ``model.constraint_config`` has their meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import reduce
from typing import Any

import click

from corpus.argument_text import readable
from model.constraint_config import DRAFTS, Constraints, read_constraints
from model.constraints.line_rules import LineRules


class Typed(click.ParamType[str]):
    """A constraint as it is typed; a value from a settings file may be no string."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the decoded text."""
        if not isinstance(value, str):
            self.fail("a constraint must be in quotes.", param, ctx)
        return readable(value)


def _option(name: str, metavar: str, words: str, default: str = "") -> Callable[[Any], Any]:
    return click.option(name, type=Typed(), default=default, metavar=metavar, help=words)


_OPTIONS = (
    _option("--forbid", "LETTERS", "Write none of these characters, in either case."),
    _option("--allow", "LETTERS", "Of all letters, write only these, in either case."),
    _option("--acrostic", "WORD", "The first letters of the lines spell WORD, again and again."),
    _option(
        "--line-length",
        "N-M",
        f"Write lines of N to M characters. For rules of lines, {DRAFTS} drafts of each line are "
        "written, and one that fits is taken.",
    ),
    _option("--line-matches", "REGEX", "Write lines in which this regular expression is found."),
    _option("--rhyme", "SCHEME", "Lines with the same letter rhyme, such as ABAB. Needs the extra "
            "'verse'."),
    _option("--syllables", "N-M", "Write lines of N to M syllables. Needs the extra 'verse'."),
    _option("--verse-language", "NAME", "Language of rhymes and syllables (default: en).", "en"),
    _option(
        "--line-choice",
        "HOW",
        "Which draft that fits is taken: likely, the likeliest, or random (default: likely).",
        "likely",
    ),
)  # fmt: skip


def constraint_options(function: Any) -> Any:
    """Adds the options of constraints to a command."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), function)


def constraints_of(options: Mapping[str, Any]) -> Constraints:
    """Returns the constraints from the options.

    Raises:
        ConfigError: one is not valid, or needs an extra that is not installed.
    """
    constraints = read_constraints(
        {field.name: options[field.name] for field in fields(Constraints)}
    )
    LineRules(constraints)  # refuses a missing extra
    return constraints
