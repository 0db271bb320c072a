"""The hints, in order of importance: when each is true, and its words. Pure.

A hint is made from what happens now. It gives its words long and short, for wide and narrow
terminals. To add one, write a function and put it into `HINTS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from model.events.recorded import STOPPED_FALLING
from tui.sanitise import one_line
from tui.view.format import fixed, grouped
from tui.view.state import ViewState

LONG: Final = 77
"""Cells of a row of 80 columns."""
SHORT: Final = 37
"""Cells of a row of 40 columns."""
_NEXT: Final = (
    ("training.longer", "train longer", "longer"),
    ("writing.prompt", "prompt", "prompt"),
    ("training.again", "new preset", "preset"),
    ("text.write", "write a file", "file"),
    ("text.alternatives", "alternatives", "others"),
    ("text.copy", "copy the text", "copy"),
    ("program.quit", "quit", "quit"),
)
"""What can be done at the end, most important first: id of the key, and words for it."""


@dataclass(frozen=True, slots=True)
class Words:
    """A hint's sentence."""

    long: str
    """At most `LONG` cells."""
    short: str
    """At most `SHORT` cells."""
    about: str = ""
    """What tells it from other sentences of the same hint, which are shown as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What hints are made from."""

    state: ViewState
    temperature: float
    """The temperature that the user asked for."""
    temperature_at_start: float
    keys: Mapping[str, str]
    """The keys that do something now, as users know them, by the id of their action."""
    new_word: str = ""
    """The last written word that the text does not hold; empty if there is none, or no index."""
    is_racing: bool = False
    ink_is_off: bool = True

    @property
    def validation(self) -> float:
        """Nats per character of the last validation; infinite before the first."""
        nats = self.state.losses.validation
        return math.inf if nats is None else nats


Hint = Callable[[Moment], Words | None]


def end(moment: Moment) -> Words | None:
    """At the end: the best loss, and four things to do now."""
    finished, best = moment.state.finished, moment.state.losses.best
    if finished is None:
        return None
    actions = [(moment.keys[key], *words) for key, *words in _NEXT if key in moment.keys]
    loss = "Training has ended" if best is None else f"Best {fixed(best)} nats"
    if any(STOPPED_FALLING in warning for warning in moment.state.warnings):
        # To train longer would not help.
        actions = [action for action in actions if action[0] != moment.keys.get("training.longer")]
        names = " · ".join(f"{key} {word}" for key, _, word in actions[:4])
        long = f"{loss}, which fell no longer. {names}"
    else:
        long = f"{loss}. " + " · ".join(f"{key} {words}" for key, words, _ in actions[:4])
    return Words(long, f"{loss}. " + " ".join(f"{key} {word}" for key, _, word in actions[:2]))


def better_than_references(moment: Moment) -> Words | None:
    """The network predicts better than the strongest reference whose figure it has passed."""
    nats = moment.validation
    passed = [(bits, name) for name, bits in moment.state.references if nats / math.log(2) < bits]
    if not passed:
        return None
    _, name = min(passed)
    name = one_line(name, 10)
    is_counted = name.endswith("-gram")
    than = f"a {name} model" if is_counted else f"{name} compresses"
    long = (
        f"val {nats:.2f} nats, {nats / math.log(2):.2f} bits: it now predicts better than {than}."
    )
    return Words(long, f"It predicts better than {name}.", about=name)


def made_up_word(moment: Moment) -> Words | None:
    """A word of some length that the text does not hold, once words are the rule."""
    word = moment.new_word
    if moment.validation > _WORDS_NATS or len(word) < _WORD_LETTERS:
        return None
    word = one_line(word, 16)
    return Words(f"“{word}” is not in the text: the network made it up.", f"It made “{word}” up.")


def noise(moment: Moment) -> Words | None:
    """A new network writes: random letters."""
    if moment.state.writing.weights_step != 0 or moment.validation < math.inf:
        return None
    return Words(
        "Random letters: the network has learned nothing yet. Words will come soon.",
        "Random letters: nothing learned yet",
    )


def first_validation(moment: Moment) -> Words | None:
    """The first letters are learned, but no words."""
    nats = moment.validation
    run = moment.state.run
    blind = math.inf if run is None else math.log(max(1, run.vocabulary))
    if not _WORDS_NATS < nats < blind:
        return None
    return Words(
        f"val {nats:.2f} nats: it knows how often each letter comes, and after which.",
        f"val {nats:.2f}: letters, not yet words",
    )


def two_models(moment: Moment) -> Words | None:
    """Two models write one text."""
    if moment.state.authors is None:
        return None
    return _with_keys(
        moment,
        ("mix.first", "mix.second"),
        "Two models write. Press {} for more of the first, {} for more of the second.",
        "{} more of the first, {} of the second",
    )


def temperature_keys(moment: Moment) -> Words | None:
    """The text makes words, and the temperature was never changed."""
    is_untouched = moment.temperature == moment.temperature_at_start
    if moment.validation > _WORDS_NATS or not is_untouched:
        return None
    return _with_keys(
        moment,
        ("temperature.down", "temperature.up"),
        "Press {} for calmer text, {} for wilder. It holds from the next character on.",
        "{} calmer text, {} wilder",
    )


def hot(moment: Moment) -> Words | None:
    """A high temperature."""
    if moment.temperature < 1.3:
        return None
    words = f"At {moment.temperature:.2f} unlikely letters come often: words fall apart."
    return Words(words, f"At {moment.temperature:.2f} words fall apart.")


def cold(moment: Moment) -> Words | None:
    """A low temperature."""
    if moment.temperature > 0.3:
        return None
    head = f"At {moment.temperature:.2f}"
    return Words(
        f"{head} it nearly always takes the likeliest letter: it will repeat itself.",
        f"{head} it will repeat itself.",
    )


def one_epoch(moment: Moment) -> Words | None:
    """The text was read once."""
    if moment.state.progress.epoch < 2 or moment.state.progress.first_step > 0:
        return None
    characters = moment.state.run.characters if moment.state.run else 0
    return Words(
        f"It has read the text once, {grouped(characters)} characters, and begins again.",
        "It has read the text once.",
    )


def alternatives(moment: Moment) -> Words | None:
    """What else the model considered."""
    if moment.validation > _WORDS_NATS and moment.state.opened is None:
        return None
    return _with_keys(
        moment,
        ("text.alternatives",),
        "Press {} to see what else it could have written, and to go on from there.",
        "{}: what else it could have written",
    )


def over_fitting(moment: Moment) -> Words | None:
    """The loss on the text that it reads is far below that on the text that it does not."""
    smoothed, nats = moment.state.losses.smoothed, moment.validation
    if moment.state.progress.role == "student":  # half of its loss compares it with a teacher
        return None
    if smoothed is None or not _OVER_FITTING_NATS < nats - smoothed < math.inf:
        return None
    return Words(
        f"train {smoothed:.2f}, val {nats:.2f}: it learns this text by heart, not its language.",
        "It begins to learn the text by heart.",
    )


def race(moment: Moment) -> Words | None:
    """Four temperatures side by side."""
    if moment.is_racing or moment.validation > _WORDS_NATS:
        return None
    return _with_keys(
        moment,
        ("views.race",),
        "Press {} for a race of four temperatures with the same random numbers.",
        "{}: a race of four temperatures",
    )


def ink(moment: Moment) -> Words | None:
    """Colours for what surprised the network."""
    if not moment.ink_is_off or moment.validation > _WORDS_NATS:
        return None
    return _with_keys(
        moment,
        ("ink.next",),
        "Press {} to colour the text by what the network did not expect.",
        "{} colours what was not expected",
    )


def hold(moment: Moment) -> Words | None:
    """The text can be held, once there is something to read."""
    state = moment.state
    if state.training != "training" or state.writing.characters < _SOME_TEXT:
        return None
    return _with_keys(
        moment,
        ("writing.hold",),
        "Press {} to hold the text and read it. The training goes on.",
        "{} holds the text",
    )


_WORDS_NATS: Final = 2.2
"""Validation loss below which most of what is written looks like words."""
_WORD_LETTERS: Final = 5
_SOME_TEXT: Final = 300
"""Characters after which there is something to read."""
_OVER_FITTING_NATS: Final = 0.35

HINTS: Final[tuple[Hint, ...]] = (
    *(end, two_models, better_than_references, made_up_word, noise, first_validation),
    *(temperature_keys, hot, cold, one_epoch, alternatives, over_fitting, race, ink, hold),
)
"""The most important one first. Each is shown once, the one on references once for each."""


def _with_keys(moment: Moment, ids: tuple[str, ...], long: str, short: str) -> Words | None:
    """Returns the words with keys in place of ``{}``; None if one of the keys does nothing now."""
    if not all(name in moment.keys for name in ids):
        return None
    keys = [moment.keys[name] for name in ids]
    return Words(long.format(*keys), short.format(*keys))
