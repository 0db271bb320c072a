"""Validation while a network is trained: when it is due, and the held-out loss of the best weights.

The held-out part is scored as the recipe is meant to be judged: with carried state, or for a
recipe of windows the character after each window. Of a held-out part that is longer than
``MAX_VALIDATION_CHARACTERS`` so many are scored, always the same, in 16 pieces at even distances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpus.generators import GeneratorWithResult
from model.compute.batch_threads import BatchThreads
from model.config import TrainingConfig
from model.data.batches import Ids
from model.evaluation import scoring as evaluation
from model.network.character_network import CharacterNetwork
from model.training.trainer import Trainer

MAX_PAUSE_SECONDS = 10.0
"""Seconds of training between two validations."""
FIRST_PAUSE = 1.0
GROWTH = 0.5
"""Pause before the next validation as a part of the training time so far."""
SHARE = 0.1
"""Of the time, at most, for validations within an epoch."""
DEAR_PAUSE = 20.0
"""Seconds between two validations from which the end of an epoch has to wait for them, too: of a
small text with a long held-out part they would take a third of the time."""
FORWARD_TIMES = 2.0
"""How much faster a text is scored, in float32, than trained on."""
STREAMS = 16
STREAMS_ON_A_CARD = 64
"""A card takes as long for a few of them as for many."""
MAX_VALIDATION_CHARACTERS = 262_144
"""Scored by one validation. A tenth of a gigabyte would take an hour, and say the same to two
digits; `evaluate` scores all of it."""
MAX_VALIDATION_WINDOWS = 32_768
"""Likewise of a recipe of windows, each of which costs as much as a window of characters."""
MIN_VALIDATION_CHARACTERS = 8_192
"""Scored at least, however little time is planned."""
WINDOWS_AT_ONCE = 512
LOST_NATS, LOST_TIMES = 1.0, 1.5
"""A part is lost that is worse than the median part by both."""


def next_pause(trained_seconds: float, cost: float) -> float:
    """Returns how long to train until the next validation within an epoch.

    Often at the start, where every second changes the curve, and later every ten seconds; never so
    often that validations take more than a tenth of the time.

    Args:
        trained_seconds: training time so far.
        cost: seconds that the last validation took.
    """
    pause = min(MAX_PAUSE_SECONDS, max(FIRST_PAUSE, GROWTH * trained_seconds))
    return max(pause, cost / SHARE)


def affordable(trainer: Trainer, training: TrainingConfig, speed: float) -> int:
    """Returns how many characters each validation of a run may score, at most.

    Where time is planned, no single one takes more than its part of that, the last one included.
    All of a run's score the same, so that their losses can be compared.

    Args:
        trainer: whose networks are to be scored.
        training: the settings.
        speed: of training, characters per second.
    """
    if training.minutes is None or speed <= 0:
        return MAX_VALIDATION_CHARACTERS
    seconds = SHARE * 60 * training.minutes
    characters = seconds * FORWARD_TIMES * speed / len(trainer.networks)
    return int(min(MAX_VALIDATION_CHARACTERS, max(MIN_VALIDATION_CHARACTERS, characters)))


def guessed_cost(
    trainer: Trainer, characters: int, speed: float, limit: int = MAX_VALIDATION_CHARACTERS
) -> float:
    """Returns about how many seconds a validation takes that none has been timed of.

    Args:
        trainer: whose networks are to be scored.
        characters: of the held-out part; no more are counted than are scored.
        speed: of training, characters per second.
        limit: characters that are scored at most.
    """
    scored = min(characters, limit)
    return len(trainer.networks) * scored / (FORWARD_TIMES * max(1.0, speed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What scoring the held-out part found."""

    nats: float
    """Per character."""
    streams: int = 1
    """Parts that the text was read in, side by side."""
    lost: int = 0
    """Parts that stayed far worse than the others: a state that never recovered."""
    worst: float = 0.0
    """Nats per character of the worst part."""

    @property
    def lost_sentence(self) -> str:
        """What there is to say about lost parts."""
        stay = "stays" if self.lost == 1 else "stay"
        return (
            f"{self.lost} of {self.streams} held-out parts {stay} lost "
            f"(up to {self.worst:.1f} nats per character): the state does not recover from its "
            "start; a lower learning rate helps"
        )


def validate(
    trainer: Trainer,
    held_out: Ids,
    training: TrainingConfig,
    hurried: Callable[[], bool],
    limit: int = MAX_VALIDATION_CHARACTERS,
) -> Validation | None:
    """Returns the held-out loss of the better of last and averaged weights.

    Tells the trainer once the averaged weights have proved better.

    Args:
        trainer: whose networks are scored.
        held_out: the held-out part.
        training: the settings.
        hurried: whether to leave the work; asked all the time.
        limit: characters that are scored at most.

    Returns:
        None where somebody was in a hurry.
    """
    found = []
    device = trainer.network.head.weight.device
    streams = STREAMS if device.type == "cpu" else STREAMS_ON_A_CARD
    for network in trainer.networks:
        if hurried():
            return None
        losses = np.zeros(evaluation.scored(len(held_out), streams, limit), np.float32)
        scoring = GeneratorWithResult(
            _scoring(
                network, held_out, training, streams, losses, limit=limit, threads=trainer.threads
            )
        )
        for _ in scoring:
            if hurried():
                return None
        nats = scoring.result
        every = training.scoring == "every"
        found.append(judged(nats, losses, streams) if every else Validation(nats=nats))
    if len(found) == 2 and found[1].nats < found[0].nats:
        trainer.average_leads = True
    # A NaN is not smaller than anything: the last weights' loss is returned where it is one.
    return min(found, key=lambda validation: validation.nats)


def judged(nats: float, losses: npt.NDArray[np.float32], most_streams: int = STREAMS) -> Validation:
    """Returns the validation with the parts counted that stayed lost.

    Args:
        nats: per character, of the whole.
        losses: nats of every scored character.
        most_streams: the most parts that it was read in.
    """
    streams, length = evaluation.cut(len(losses) + 1, most_streams)
    means = np.array(
        [losses[start : start + length].mean() for start in range(0, len(losses), length)]
    )
    typical = np.median(means)
    lost = means > max(typical + LOST_NATS, typical * LOST_TIMES)
    return Validation(nats=nats, streams=streams, lost=int(lost.sum()), worst=float(means.max()))


def _scoring(
    network: CharacterNetwork,
    held_out: Ids,
    training: TrainingConfig,
    streams: int,
    losses: npt.NDArray[np.float32],
    *,
    limit: int,
    threads: BatchThreads,
) -> evaluation.Scoring:
    if training.scoring == "every":
        return evaluation.stateful(
            network,
            held_out,
            streams=streams,
            losses=losses,
            limit=limit,
            threads=threads,
        )
    return evaluation.windowed(
        network,
        held_out,
        window=training.sequence,
        stride=training.window_stride,
        last_only=True,
        batch=WINDOWS_AT_ONCE,
        limit=min(MAX_VALIDATION_WINDOWS, max(1, limit // training.sequence))
        if limit < MAX_VALIDATION_CHARACTERS
        else MAX_VALIDATION_WINDOWS,
        threads=threads,
    )
