"""The languages of the lesson: which one the user speaks, and the texts of each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from tui.lesson.step import Step, read_step

LANGUAGES: Final = ("en", "pt")
"""Names of the folders with texts; the first one is for users of all other languages."""
_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameWords:
    """The words around a step; the file ``words.toml`` of a language."""

    lesson: str
    next: str
    back: str
    close: str
    skip: str
    """What Enter does on a step that is not done."""
    sure: str
    """After the first Enter on such a step."""
    whole: str
    """What the key of the lesson does if the pane has no room for all words."""
    end: str
    """What Enter does on the last step."""
    spectator: str
    """Why a task cannot be done."""
    decimal_point: str
    space: str
    """The name of the space bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonTexts:
    """The lesson in one language."""

    steps: tuple[Step, ...]
    words: FrameWords


def language_of(environment: Mapping[str, str]) -> str:
    """Returns the language of a locale: the first variable of POSIX that is set decides."""
    locale = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    language = locale[:2].lower()
    known = language in LANGUAGES and not locale[2:3].isalpha()
    return language if known else LANGUAGES[0]


@cache
def texts_in(language: str) -> LessonTexts:
    """Returns the texts of one of `LANGUAGES`, in the order of their file names."""
    folder = files("tui.lesson") / "steps" / language
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".md"))
    steps = tuple(read_step((folder / name).read_text(encoding="utf-8")) for name in names)
    words = tomllib.loads((folder / "words.toml").read_text(encoding="utf-8"))
    return LessonTexts(steps=steps, words=FrameWords(**words))
