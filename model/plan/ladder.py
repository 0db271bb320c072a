"""Chooses a network and its settings for a machine's speed, a text and a time. Pure.

A larger network learns more in each step, and makes fewer steps in the same time. So the rule is a
table: from how many steps each size ends below the smaller ones, measured on two texts of a million
characters (docs/recipes.md). How often the text is read decides the dropout.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final

from model.config import (
    NETWORKS,
    ModelConfig,
    NetworkTraits,
    TrainingConfig,
    unit_scale,
    units_of_equal_cost,
)
from model.plan.machine_speed import MachineSpeed
from model.presets import DEFAULT_MINUTES

FULL_DROPOUT_PASSES: Final = 12.0
"""Passes over the text from which dropouts and weight decay have the table's values. With fewer
passes they are smaller in proportion, because a text that is read once cannot be learned by
heart."""
UNREAD_STEPS_FACTOR: Final = 2.0
"""A size needs this factor of the table's steps if they do not reach the end of the text. A smaller
network is then far from knowing it by heart, and stays ahead for longer."""
FREQUENT_READING: Final = 16.0
DROPOUT_GROWTH: Final = 0.25
MAX_DROPOUTS: Final = (0.5, 0.1, 0.35)
"""If passes times H squared, divided by the characters of the text, exceed the first number, the
table's dropouts are multiplied by the quotient to the power of the second one, up to the last ones:
of output, embedding and weights. The more weights a network has for each character, and the more
often it reads them, the sooner it knows the text by heart."""
TABLE_STREAMS: Final = 32
TABLE_STEP: Final = TABLE_STREAMS * 64
"""Streams of a batch, and characters of a step, in the experiments behind the table."""
BATCH_BY_CHARACTERS: Final = ((300_000, 32), (100_000, 16), (0, 8))
"""Least characters of a text, and the streams of a batch. With 32 streams a short text would give
too few steps in each pass: 9 of 20,000 characters."""
DOUBLED_BATCH_FACTOR: Final = 1.3
DOUBLED_BATCH_STEPS: Final = 6_000
DOUBLED_BATCH_RATE: Final = 1.375
"""If twice the streams make the machine faster by this factor, and as many usual steps fit into the
time, a batch is doubled, and the learning rate rises by the last factor. With AMX, for example,
the same tiles serve 32 streams and 64."""
PASSES_OF_SMALL_TEXT: Final = 25.0
SMALL_TEXT: Final = 20_000
MIN_STEPS: Final = 300
"""A text of 20,000 characters is learned by heart after some 25 passes, a longer one later; see
`NetworkTraits.passes_growth`. The plan ends there, but not before these steps: a pass over a text
of 1,000 characters has one or two."""
MAX_SQUARE: Final = 25
"""The square of H is at most this multiple of the characters; 1,000 are too few for LSTM(256)."""
TEACHING_FROM: Final = 0.55
"""A teacher and a student share a time that is enough for this part of the passes after which one
network knows the text by heart, where the network has a `NetworkTraits.teacher_share`."""
TAUGHT_PASSES: Final = 2.8
"""Together they make at most this multiple of these passes."""
TEACHER_PASSES: Final = 0.665
"""The teacher makes at most this multiple of these passes; one that knows the text by heart teaches
less."""
TAUGHT_STEPS: Final = 1.25
TAUGHT_STEPS_PASSES: Final = 70.0
"""Factor of the steps of a student that rate and weight decay fit; it grows in proportion to the
passes beyond these."""
TAUGHT_READING: Final = 2.0
"""Factor of how often a student reads a text before dropouts grow."""
MIN_TAUGHT_CHARACTERS: Final = 100_000
"""Least characters of a text that is worth a teacher; one of 20,000 gained nothing."""
MAX_PREDICTIONS: Final = 2**27
"""Most predictions of a teacher, one for each character of the text and of the vocabulary; they are
kept in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A size of network, and the settings that suit it.

    Sizes and learning rates are those of an LSTM. `NETWORKS` says how other networks compare.
    """

    hidden: int
    embedding: int
    min_steps: int
    """Steps of `TABLE_STEP` characters from which this size ends below the smaller ones."""
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    dropout: float
    embedding_dropout: float
    weight_dropout: float


LADDER: Final = (
    Rung(
        hidden=128,
        embedding=32,
        min_steps=0,
        learning_rate=0.02,
        warmup_steps=100,
        weight_decay=0.01,
        dropout=0.0,
        embedding_dropout=0.0,
        weight_dropout=0.0,
    ),
    Rung(
        hidden=256,
        embedding=32,
        min_steps=900,
        learning_rate=0.012,
        warmup_steps=100,
        weight_decay=0.01,
        dropout=0.1,
        embedding_dropout=0.0,
        weight_dropout=0.0,
    ),
    Rung(
        hidden=384,
        embedding=48,
        min_steps=2_500,
        learning_rate=0.006,
        warmup_steps=150,
        weight_decay=0.04,
        dropout=0.2,
        embedding_dropout=0.03,
        weight_dropout=0.08,
    ),
    Rung(
        hidden=512,
        embedding=64,
        min_steps=6_000,
        learning_rate=0.004,
        warmup_steps=200,
        weight_decay=0.07,
        dropout=0.3,
        embedding_dropout=0.05,
        weight_dropout=0.15,
    ),
    Rung(
        hidden=640,
        embedding=64,
        min_steps=28_000,
        learning_rate=0.004,
        warmup_steps=200,
        weight_decay=0.07,
        dropout=0.35,
        embedding_dropout=0.05,
        weight_dropout=0.2,
    ),
    # For cards. With the dropouts of 640, a run of 70 passes was best at its middle.
    Rung(
        hidden=1024,
        embedding=64,
        min_steps=30_000,
        learning_rate=0.003,
        warmup_steps=200,
        weight_decay=0.07,
        dropout=0.5,
        embedding_dropout=0.1,
        weight_dropout=0.3,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to train, and how long."""

    model: ModelConfig
    training: TrainingConfig
    passes: float | None = None
    """Expected passes over the training part; None if the speed does not matter."""
    speed: float | None = None
    """Expected characters per second; None if it does not matter."""

    @property
    def sentence(self) -> str:
        """The plan in words: ``LSTM(384), 5 min, about 14 passes``."""
        lengths = []
        minutes, epochs = self.training.minutes, self.training.epochs
        if epochs is not None:
            lengths.append(_passes_in_words(epochs))
        if minutes is not None:
            lengths.append(f"{minutes:g} min" if epochs is None else f"at most {minutes:g} min")
        if epochs is None and self.passes is not None:
            lengths.append(f"about {_passes_in_words(self.passes)}")
        if self.training.teacher_share:
            lengths.append("a teacher and a student")
        return f"{self.model.title}, {', '.join(lengths)}"

    def to_record(self) -> dict[str, Any]:
        """Returns the plan as plain values for JSON."""
        return {
            "sentence": self.sentence,
            "passes": None if self.passes is None else float(f"{self.passes:.3g}"),
            "characters_per_second": None if self.speed is None else round(self.speed, 1),
        }


def needs_speed(chosen: frozenset[str]) -> bool:
    """Whether a plan depends on the speed; it does not if the user chose the size."""
    return "hidden" not in chosen


def plan_for(
    speed: MachineSpeed | None,
    *,
    characters: int,
    symbols: int,
    model: ModelConfig,
    training: TrainingConfig,
    chosen: frozenset[str] = frozenset(),
) -> Plan:
    """Returns the plan with the lowest expected loss.

    Args:
        speed: of this machine; None if it is not needed.
        characters: length of the training part.
        symbols: V, different characters.
        model: the settings that the user chose, and defaults.
        training: the same. If it counts epochs alone, the size is that for `DEFAULT_MINUTES`.
        chosen: names of the settings that the user chose; the plan keeps them.
    """
    minutes = training.minutes or DEFAULT_MINUTES
    if speed is not None and "network" not in chosen:
        model = dataclasses.replace(model, network=speed.network)
    rate, hidden = None, model.hidden
    if speed is None:
        rung = nearest_rung(hidden / unit_scale(model.network, model.layers))
    else:
        rung = _best_rung(speed, model, 60 * minutes, characters, symbols)
        hidden = units_of_equal_cost(model.network, rung.hidden, model.layers)
        rate = speed.at(rung.hidden, model.layers)
    batch = training.batch if "batch" in chosen else _streams_for(characters)
    traits = NETWORKS[model.network]
    learning_rate = traits.learning_rate(rung.learning_rate)
    may_double = "batch" not in chosen and training.epochs is None and batch == TABLE_STREAMS
    if may_double and speed is not None and rate is not None and _doubles(speed, rate, minutes):
        batch *= 2
        learning_rate *= DOUBLED_BATCH_RATE
        rate *= speed.doubled_batch
    step = batch * training.sequence
    passes = None if rate is None else rate * 60 * minutes / max(1, characters)
    epochs, share = training.epochs, training.teacher_share
    if epochs is None and passes is not None:
        if "teacher_share" not in chosen and _teaches(passes, characters, symbols, traits):
            share = round(_teacher_share(passes, characters, traits), 3)
        epochs = _end(passes, characters, step, traits, taught=share > 0)
    passes = passes if epochs is None else float(epochs)
    read = FULL_DROPOUT_PASSES if passes is None else passes * (1 - share)  # by a student
    steps = 0.0 if passes is None else read * characters / step
    factor = _long_training(steps, read, traits, taught=share > 0)
    settings = _settings(rung, read, characters, traits, taught=share > 0)
    settings["learning_rate"] = float(f"{factor * learning_rate:.3g}")
    settings["weight_decay"] = round(factor * settings["weight_decay"], 3)
    settings |= {"batch": batch, "epochs": epochs, "teacher_share": share}
    settings = {name: value for name, value in settings.items() if name not in chosen}
    shape = {name: settings.pop(name) for name in ("embedding", "dropout") if name in settings}
    return Plan(
        model=dataclasses.replace(model, hidden=hidden, **shape),
        training=dataclasses.replace(training, **settings),
        passes=passes,
        speed=rate,
    )


def _streams_for(characters: int) -> int:
    """Returns the streams of a batch of a text."""
    return next(batch for least, batch in BATCH_BY_CHARACTERS if characters >= least)


def _most_passes(characters: int, traits: NetworkTraits) -> float:
    """Returns the passes after which a network has learned a text by heart."""
    growth = math.pow(max(1.0, characters / SMALL_TEXT), traits.passes_growth)
    return PASSES_OF_SMALL_TEXT * growth


def _teaches(passes: float, characters: int, symbols: int, traits: NetworkTraits) -> bool:
    """Returns whether the time of some passes is better shared by a teacher and a student."""
    suits = characters >= MIN_TAUGHT_CHARACTERS and characters * symbols <= MAX_PREDICTIONS
    enough = passes >= TEACHING_FROM * _most_passes(characters, traits)
    return traits.teacher_share > 0 and suits and enough


def _teacher_share(passes: float, characters: int, traits: NetworkTraits) -> float:
    """Returns the part of some passes that trains the teacher."""
    most = _most_passes(characters, traits)
    return min(traits.teacher_share, TEACHER_PASSES * most / min(passes, TAUGHT_PASSES * most))


def _end(
    passes: float, characters: int, step: int, traits: NetworkTraits, *, taught: bool
) -> int | None:
    """Returns the passes after which a plan ends before its time, if it does.

    Args:
        passes: that the time is enough for.
        characters: in the training part.
        step: characters of a step.
        traits: of the network.
        taught: whether a teacher and a student share them.
    """
    most = _most_passes(characters, traits) * (TAUGHT_PASSES if taught else 1)
    least = MIN_STEPS * min(step, characters) / max(1, characters)
    end = math.ceil(max(least, most))
    return end if passes > end else None


def _doubles(speed: MachineSpeed, rate: float, minutes: float) -> bool:
    """Returns whether a batch of twice the usual streams is better in some minutes."""
    steps = rate * 60 * minutes / TABLE_STEP
    return speed.doubled_batch >= DOUBLED_BATCH_FACTOR and steps >= DOUBLED_BATCH_STEPS


def _long_training(steps: float, passes: float, traits: NetworkTraits, *, taught: bool) -> float:
    """Returns the factor of the learning rate, and of the decay, for the steps of some passes."""
    of_student = TAUGHT_STEPS * max(1.0, passes / TAUGHT_STEPS_PASSES)
    fitted = traits.fitted_steps * (of_student if taught else 1)
    return math.sqrt(min(1.0, fitted / max(1.0, steps)))


def _best_rung(
    speed: MachineSpeed, model: ModelConfig, seconds: float, characters: int, symbols: int
) -> Rung:
    """Returns the largest rung that makes its steps in some seconds, or as a student."""
    traits = NETWORKS[model.network]

    def pays(rung: Rung) -> bool:
        read = speed.at(rung.hidden, model.layers) * seconds
        if _teaches(read / max(1, characters), characters, symbols, traits):
            # More time gives more passes, but no larger teacher, which would know a text by heart,
            # and no smaller network than one that has just no time for a teacher.
            most = characters * _most_passes(characters, traits)
            taught = min(read, TEACHER_PASSES * most / traits.teacher_share)
            read = max((1 - traits.teacher_share) * taught, TEACHING_FROM * most)
        factor = traits.steps_scale * (1 if read >= characters else UNREAD_STEPS_FACTOR)
        fits = rung is LADDER[0] or rung.hidden**2 <= MAX_SQUARE * characters
        return fits and read / TABLE_STEP >= factor * rung.min_steps

    return [rung for rung in LADDER if pays(rung)][-1]


def nearest_rung(hidden: float) -> Rung:
    """Returns the rung whose size is the nearest in proportion; ``hidden`` is of an LSTM."""
    return min(LADDER, key=lambda rung: max(rung.hidden / hidden, hidden / rung.hidden))


def _settings(
    rung: Rung, passes: float, characters: int, traits: NetworkTraits, *, taught: bool
) -> dict[str, Any]:
    """Returns the settings of a rung for some passes over some characters.

    Args:
        rung: the size.
        passes: over the training part.
        characters: in it.
        traits: of the network.
        taught: whether it learns from a teacher, too, which keeps it from learning by heart.
    """
    share = min(1.0, passes / FULL_DROPOUT_PASSES)
    decay = min(traits.max_decay, traits.decay_growth * passes / FULL_DROPOUT_PASSES)
    full_decay = max(traits.min_full_decay, rung.weight_decay)
    weight_decay = max(LADDER[0].weight_decay, decay * full_decay)
    reading = passes * rung.hidden**2 / max(1, characters)
    frequent = FREQUENT_READING * (TAUGHT_READING if taught else 1)
    share *= max(1.0, reading / frequent) ** DROPOUT_GROWTH
    share *= traits.dropout_scale
    dropouts = (rung.dropout, rung.embedding_dropout, rung.weight_dropout)
    dropout, embedding_dropout, weight_dropout = (
        round(min(most, share * dropout), 3)
        for dropout, most in zip(dropouts, MAX_DROPOUTS, strict=True)
    )
    return {
        "embedding": rung.embedding,
        "warmup_steps": rung.warmup_steps,
        "weight_decay": weight_decay,
        "reset_probability": traits.reset_probability,
        "dropout": dropout,
        "embedding_dropout": embedding_dropout,
        "weight_dropout": weight_dropout,
    }


def _passes_in_words(passes: float) -> str:
    """Returns a number of passes: two digits below ten, whole numbers above."""
    number = f"{passes:.2g}" if passes < 10 else f"{passes:,.0f}"
    return f"{number} pass" if number == "1" else f"{number} passes"
