"""What a step of the lesson can wait for: a figure or a state of the screen, and a value. Pure.

A condition is written as ``temperature <= 0.25`` or ``race is open``. To let steps wait for
something else, add a subject to `SUBJECTS`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tui.sanitise import one_line
from tui.view.state import ViewState

_WORD_CELLS: Final = 14
"""Longest word that is shown beside a condition, characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the conditions are compared with."""

    state: ViewState
    temperature: float
    """The temperature that the user asked for."""
    recent_text: str = ""
    """What was written since the temperature last changed."""
    sought: str = ""
    """The words that were looked for last."""
    new_word: str = ""
    """The last written word that the text does not hold."""
    is_held: bool = False
    """Whether the text is on hold."""
    is_following: bool = True
    shows_bits: bool = False
    is_racing: bool = False
    lane_characters: int = 0
    """Characters in each lane of the race."""
    considers: bool = False
    """Whether the alternatives are open."""
    forks: int = 0
    """Forks of the text since the step began."""
    ink: str = "off"
    reads_excerpt: bool = False
    """Whether the network trains on the short text of the lesson."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a subject now."""

    value: float | str | None
    """None while it is unknown; no condition holds then."""
    words: str = ""
    """Figures for the screen, in any language; foreign text is printable."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A subject that is compared with a value."""

    subject: str
    sign: str
    value: Any
    """A number; for ``is``, one of `STATES`."""

    def read(self, situation: Situation) -> Reading:
        """Returns the value of the subject."""
        reading = SUBJECTS[self.subject](situation)
        if self.subject in _COUNTS and isinstance(reading.value, float):
            return Reading(reading.value, f"{min(reading.value, self.value):g}/{self.value:g}")
        return reading

    def holds(self, situation: Situation) -> bool:
        """Tells whether the condition is fulfilled."""
        value = self.read(situation).value
        return value is not None and bool(SIGNS[self.sign](value, self.value))


def parsed(words: str) -> Condition:
    """Returns the condition that is written as subject, sign and value.

    Raises:
        ValueError: the subject or the sign is unknown, or the value is of the wrong kind.
    """
    subject, sign, value = words.split()
    if subject not in SUBJECTS or sign not in SIGNS:
        raise ValueError(f"{words!r} is no condition; subjects: {', '.join(SUBJECTS)}")
    if sign != "is":
        return Condition(subject, sign, float(value))
    if value not in STATES.get(subject, ()):
        raise ValueError(f"{subject} is never {value!r}; states: {STATES.get(subject)}")
    return Condition(subject, sign, value)


def _temperature(situation: Situation) -> Reading:
    return Reading(situation.temperature, f"{situation.temperature:.2f}")


def _validation(situation: Situation) -> Reading:
    nats = situation.state.losses.validation
    return Reading(nats, "" if nats is None else f"{nats:.2f} nats")


def _written(situation: Situation) -> Reading:
    return Reading(float(len(situation.recent_text)))


def _lanes(situation: Situation) -> Reading:
    return Reading(float(situation.lane_characters if situation.is_racing else 0))


def _forks(situation: Situation) -> Reading:
    return Reading(float(situation.forks))


def _repeats(situation: Situation) -> Reading:
    word = situation.sought.strip()
    if len(word) < 2:
        return Reading(None)
    count = situation.recent_text.casefold().count(word.casefold())
    return Reading(float(count), f"“{one_line(word, _WORD_CELLS)}”: {count}")


def _new_word(situation: Situation) -> Reading:
    word = situation.new_word
    return Reading(float(len(word)), f"“{one_line(word, _WORD_CELLS)}”" if word else "")


def _overfitting(situation: Situation) -> Reading:
    """By how much the validation loss lies above its best while the other one is below, nats."""
    losses = situation.state.losses
    if losses.validation is None or losses.best is None or losses.smoothed is None:
        return Reading(None)
    rise = losses.validation - losses.best if losses.smoothed < losses.best else 0.0
    return Reading(rise, f"train {losses.smoothed:.2f} val {losses.validation:.2f}")


def _under_xz(situation: Situation) -> Reading:
    """By how much the best validation loss lies below what xz needs, bits per character."""
    xz, best = dict(situation.state.references).get("xz"), situation.state.losses.best
    if xz is None or best is None:
        return Reading(None)
    bits = best / math.log(2)
    return Reading(xz - bits, f"{bits:.2f}, xz {xz:.2f}")


def _either(subject: str, field: str) -> Callable[[Situation], Reading]:
    """Returns a subject with the two states of `STATES`, by a field of the situation."""
    yes, no = STATES[subject]
    return lambda situation: Reading(yes if getattr(situation, field) else no)


STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "writing": ("held", "flowing"),
    "text": ("followed", "scrolled"),
    "unit": ("bits", "nats"),
    "race": ("open", "closed"),
    "alternatives": ("open", "closed"),
    "ink": ("off", "surprise", "novelty", "unit", "author"),
    "corpus": ("excerpt", "whole"),
}
SUBJECTS: Final[Mapping[str, Callable[[Situation], Reading]]] = {
    "temperature": _temperature,
    "validation": _validation,
    "written": _written,
    "lanes": _lanes,
    "forks": _forks,
    "repeats": _repeats,
    "new-word": _new_word,
    "over-fitting": _overfitting,
    "under-xz": _under_xz,
    "writing": _either("writing", "is_held"),
    "text": _either("text", "is_following"),
    "unit": _either("unit", "shows_bits"),
    "race": _either("race", "is_racing"),
    "alternatives": _either("alternatives", "considers"),
    "ink": lambda situation: Reading(situation.ink),
    "corpus": _either("corpus", "reads_excerpt"),
}
_COUNTS: Final = ("written", "lanes")
"""Subjects that are shown with the number that they have to reach."""
SIGNS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "is": operator.eq,
}
