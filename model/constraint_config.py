"""What the writing may do: letters, lines and verse, checked where they enter. No torch.

``model.constraints`` knows what the settings mean for characters and lines.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args

from model.errors import ConfigError

LineChoice = Literal["likely", "random"]
Range = tuple[int, int]
"""The smallest and the largest number that are allowed."""

DRAFTS: Final = 64
"""Lines that are drafted side by side; those that fit are kept."""
MAX_LINE_CHARACTERS: Final = 256
"""Largest length of a line that can be asked for."""
USUAL_LINE_CHARACTERS: Final = 120
"""Without a length, a draft that has not ended after this many characters does not fit."""
MAX_SYLLABLES: Final = 100
MAX_CONSTRAINT_CHARACTERS: Final = 1_000
"""Longest value of each setting."""
_RANGE: Final = re.compile(r"([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What the writing may do; by default everything."""

    forbid: str = ""
    """Characters that are not written, in either case."""
    allow: str = ""
    """The only letters that are written, in either case; empty allows all. Other characters, such
    as spaces and digits, stay allowed."""
    acrostic: str = ""
    """Word that the first letters of the lines spell, again and again."""
    line_length: Range | None = None
    """Shortest and longest line, characters without the line feed."""
    line_matches: str = ""
    """Regular expression that is found in each line."""
    rhyme: str = ""
    """Scheme of a stanza, such as ABAB: lines with the same letter rhyme."""
    syllables: Range | None = None
    """Fewest and most syllables of a line."""
    verse_language: str = "en"
    """Language of rhymes and syllables, one of pyphen's names."""
    line_choice: LineChoice = "likely"
    """Which of the drafts that fit is taken: the likeliest, or a random one."""

    def __post_init__(self) -> None:
        for name in ("forbid", "allow", "acrostic", "line_matches", "rhyme", "verse_language"):
            value = getattr(self, name)
            if len(value) > MAX_CONSTRAINT_CHARACTERS:
                limit = f"give at most {MAX_CONSTRAINT_CHARACTERS:,}"
                raise ConfigError(_option(name), f"has {len(value):,} characters", limit)
        if self.allow and not any(map(str.isalpha, self.allow)):
            raise _refused("allow", self.allow, "has no letter", "give the letters that may appear")
        if self.acrostic and not any(map(str.isalpha, self.acrostic)):
            raise _refused("acrostic", self.acrostic, "has no letter", "give a word")
        if self.rhyme and not re.fullmatch("[A-Za-z]{1,32}", self.rhyme):
            remedy = "give up to 32 letters, one a line, such as ABAB"
            raise _refused("rhyme", self.rhyme, "is no rhyme scheme", remedy)
        _require_order("line_length", self.line_length, MAX_LINE_CHARACTERS)
        _require_order("syllables", self.syllables, MAX_SYLLABLES)
        if self.line_choice not in get_args(LineChoice):
            choices = " or ".join(get_args(LineChoice))
            raise _refused("line_choice", self.line_choice, "is no choice", f"give {choices}")
        _require_pattern(self.line_matches)

    @property
    def has_line_rules(self) -> bool:
        """Whether lines are drafted."""
        return bool(self.acrostic or self.line_matches or self.has_verse or self.line_length)

    @property
    def has_verse(self) -> bool:
        """Whether lines rhyme or have a number of syllables, which the extra "verse" judges."""
        return bool(self.rhyme or self.syllables)

    @property
    def is_empty(self) -> bool:
        """Whether everything may be written."""
        return not (self.forbid or self.allow or self.has_line_rules)

    def words(self) -> dict[str, str]:
        """Returns each setting as it is typed; empty if it allows everything."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _typed(value) for name, value in values.items()}


def read_constraints(words: Mapping[str, Any]) -> Constraints:
    """Returns the constraints that were typed.

    Args:
        words: the typed text by the name of the field; an empty or missing one has the default.

    Raises:
        ConfigError: one of them is not valid.
    """
    typed = {field.name: words.get(field.name) for field in fields(Constraints)}
    values: dict[str, Any] = {name: value for name, value in typed.items() if value}
    for name in ("line_length", "syllables"):
        if name in values:
            values[name] = _range(name, str(values[name]))
    if "rhyme" in values:
        values["rhyme"] = values["rhyme"].upper()
    return Constraints(**values)


def _range(name: str, text: str) -> Range:
    """Returns the range that ``32-40`` or ``40`` describes."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise _refused(name, text, "is no range", "give a number such as 40, or a range as 32-40")
    low, high = match.groups()
    return int(low), int(high or low)


def _typed(value: str | Range | None) -> str:
    if isinstance(value, tuple):
        low, high = value
        return f"{low}" if low == high else f"{low}-{high}"
    return value or ""


def _require_order(name: str, limits: Range | None, most: int) -> None:
    if limits is not None and not 1 <= limits[0] <= limits[1] <= most:
        remedy = f"give numbers from 1 to {most}, the smaller first"
        raise _refused(name, _typed(limits), "is no range", remedy)


def _require_pattern(pattern: str) -> None:
    """Raises ``ConfigError`` for what is no regular expression of Python's ``re``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        cause = f"is no regular expression ({error})"
        raise _refused("line_matches", pattern, cause, "correct it") from error


def _refused(name: str, value: str, cause: str, remedy: str) -> ConfigError:
    return ConfigError(_option(name), f"{value!r:.60} {cause}", remedy)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


NO_CONSTRAINTS: Final = Constraints()
