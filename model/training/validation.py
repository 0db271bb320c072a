"""Validates a network during training: when to do it, and the held-out loss of the better weights.

A recipe with carried state is scored with carried state. A recipe of windows is scored on the
character after each window. Of a held-out part longer than ``MAX_VALIDATION_CHARACTERS``, that many
characters are scored. They are the same each time: the beginnings of 32 parts of equal length (64
on a GPU).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpus.generators import GeneratorWithResult
from model.config import TrainingConfig
from model.data.batches import Ids
from model.evaluation import scoring as evaluation
from model.network.character_network import CharacterNetwork
from model.runs.checkpoint import CheckpointMetadata
from model.runs.open import OpenedRun
from model.timing import Clock, Due, Throughput
from model.training.trainer import Trainer

MAX_PAUSE_SECONDS = 10.0
"""Maximum training time between two validations, seconds, unless validations are slow."""
FIRST_PAUSE = 1.0
"""Minimum training time between two validations, seconds."""
GROWTH = 0.5
"""Pause before the next validation, as a fraction of the training time so far."""
SHARE = 0.05
"""Maximum fraction of the time that validations within an epoch may take."""
LONG_PAUSE = 20.0
"""If validations are at least this many seconds apart, the end of an epoch does not force an extra
one. On a small text with a long held-out part they would take a third of the time."""
NEAR_END = 0.5
"""A validation that is due waits for the end of the epoch if that is nearer than this part of the
pause. Otherwise a run whose epochs are a little longer than the pause would validate twice."""
FORWARD_TIMES = 2.0
"""Speed of scoring in float32 relative to training."""
STREAMS = 32
"""Maximum parts of the held-out text that are scored in parallel on a CPU."""
STREAMS_ON_A_CARD = 64
"""Maximum parallel parts on a GPU, which takes as long for few parts as for many."""
MAX_VALIDATION_CHARACTERS = 262_144
"""Maximum characters that one validation scores. Scoring 100 MB would take an hour for the same two
digits. The `evaluate` command scores all characters."""
MAX_VALIDATION_WINDOWS = 32_768
"""Maximum windows that one validation scores; all characters of a window are read."""
MIN_VALIDATION_CHARACTERS = 8_192
"""Minimum of the limit on scored characters, however short the time budget."""
WINDOWS_AT_ONCE = 512
"""Windows in one forward pass."""
LOST_NATS, LOST_TIMES = 1.0, 1.5
"""A part is lost if its loss exceeds the median part's by this many nats and by this factor."""


def next_pause(trained_seconds: float, cost: float) -> float:
    """Returns the training time until the next validation within an epoch, in seconds.

    Pauses are short at the start, where every second changes the curve, and ten seconds later.
    They are longer if validations would otherwise take more than a twentieth of the time.

    Args:
        trained_seconds: training time so far.
        cost: duration of the latest validation, seconds.
    """
    pause = min(MAX_PAUSE_SECONDS, max(FIRST_PAUSE, GROWTH * trained_seconds))
    return max(pause, cost / SHARE)


def is_due(rested: bool, steps_left: int, steps_of_pause: float, timed_pause: float | None) -> bool:
    """Returns whether to validate now.

    Args:
        rested: whether the pause since the last validation is over.
        steps_left: of the epoch.
        steps_of_pause: that fit into the pause.
        timed_pause: seconds; None before a validation was timed.
    """
    if timed_pause is not None and timed_pause >= LONG_PAUSE:
        return rested
    return not steps_left or (rested and steps_left > NEAR_END * steps_of_pause)


def max_characters(training: TrainingConfig) -> int:
    """Returns the maximum number of characters that a validation reads, however long the time."""
    if training.scoring == "every":
        return MAX_VALIDATION_CHARACTERS
    return MAX_VALIDATION_WINDOWS * training.sequence


def affordable(trainer: Trainer, training: TrainingConfig, speed: float) -> int:
    """Returns the maximum number of characters that each validation of a run reads.

    With a time budget, no validation takes more than a twentieth of it. All validations of a run
    read the same characters, so that their losses can be compared.

    Args:
        trainer: the trainer of the networks that will be scored.
        training: the settings.
        speed: training speed, characters per second.
    """
    if training.minutes is None or speed <= 0:
        return max_characters(training)
    seconds = SHARE * 60 * training.minutes
    characters = seconds * FORWARD_TIMES * speed / len(trainer.networks)
    return int(min(max_characters(training), max(MIN_VALIDATION_CHARACTERS, characters)))


def affordable_before(metadata: CheckpointMetadata) -> int | None:
    """Returns what `affordable` has returned in a saved run; None before its first validation.

    Older versions did not save it, or saved the maximum of a text in one piece for windows, too.
    """
    most = max_characters(metadata.training)
    default = None if metadata.best_nats_per_character is None else most
    read: int | None = metadata.progress.get("validation_characters", default)
    return most if read == MAX_VALIDATION_CHARACTERS else read


def guessed_cost(
    trainer: Trainer, characters: int, speed: float, limit: int = MAX_VALIDATION_CHARACTERS
) -> float:
    """Returns the estimated duration of the first validation, in seconds.

    Args:
        trainer: the trainer of the networks that will be scored.
        characters: those of the held-out part, or of all its windows.
        speed: training speed, characters per second.
        limit: maximum characters that are read.
    """
    read = min(characters, limit)
    return len(trainer.networks) * read / (FORWARD_TIMES * max(1.0, speed))


class ValidationPace:
    """When a run in training validates."""

    def __init__(self, trainer: Trainer, run: OpenedRun, clock: Clock) -> None:
        """Begins the first pause.

        Args:
            trainer: the trainer of the networks that will be scored.
            run: what it trains.
            clock: monotonic seconds.
        """
        self._trainer, self._run = trainer, run
        self._since = Due(clock)
        self._pause: float | None = None
        """Seconds between two validations; None until one was timed."""

    def is_due(self, speed: Throughput, scored: int | None, seconds: float) -> bool:
        """Returns whether to validate now.

        Args:
            speed: of the training.
            scored: maximum characters that each validation reads; None if that is open.
            seconds: training time so far.
        """
        pause = self._pause or self._guessed(speed.recent, scored, seconds)
        left = self._trainer.steps_left_in_epoch
        return is_due(self._since.after(pause), left, speed.steps_in(pause), self._pause)

    def restart(self, seconds: float, cost: float) -> None:
        """Begins the pause after a validation; see `next_pause`."""
        self._since.restart()
        self._pause = next_pause(seconds, cost)

    def _guessed(self, speed: float, scored: int | None, seconds: float) -> float:
        """Returns the seconds before the first validation, estimated from the speed."""
        training, characters = self._run.training, len(self._run.split.held_out)
        if training.scoring == "last":
            characters = characters // training.window_stride * training.sequence
        limit = scored or affordable(self._trainer, training, speed)
        return next_pause(seconds, guessed_cost(self._trainer, characters, speed, limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The result of scoring the held-out part."""

    nats: float
    """Mean loss, nats per character."""
    streams: int = 1
    """Parts of the text that were scored in parallel."""
    lost: int = 0
    """Parts whose loss stayed far above the others', because the state never recovered."""
    worst: float = 0.0
    """Highest loss of a part, nats per character."""

    @property
    def lost_sentence(self) -> str:
        """A warning for the user about lost parts."""
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
    """Returns the held-out loss of the better weights, the latest or the averaged ones.

    Sets the trainer's ``average_leads`` if the averaged weights have the lower loss.

    Args:
        trainer: the trainer of the networks that are scored.
        held_out: the held-out part.
        training: the settings.
        hurried: returns whether to stop; called before each small unit of work.
        limit: maximum characters that are read.

    Returns:
        The validation, or None if ``hurried`` stopped it.
    """
    validations = []
    device = trainer.network.head.weight.device
    streams = STREAMS if device.type == "cpu" else STREAMS_ON_A_CARD
    for network in trainer.networks:
        if hurried():
            return None
        losses = np.zeros(evaluation.scored(len(held_out), streams, limit), np.float32)
        scoring = GeneratorWithResult(
            _scoring(
                trainer, network, held_out, training, streams=streams, losses=losses, limit=limit
            )
        )
        for _ in scoring:
            if hurried():
                return None
        nats = scoring.result
        every = training.scoring == "every"
        validations.append(judged(nats, losses, streams) if every else Validation(nats=nats))
    if len(validations) == 2 and validations[1].nats < validations[0].nats:
        trainer.average_leads = True
    # No loss is less than NaN, so `min` returns the latest weights' loss if that is NaN.
    return min(validations, key=lambda validation: validation.nats)


def judged(nats: float, losses: npt.NDArray[np.float32], most_streams: int = STREAMS) -> Validation:
    """Returns a validation with its number of lost parts.

    Args:
        nats: mean loss of all parts, nats per character.
        losses: float32 [T], nats of every scored character.
        most_streams: maximum parts that were scored in parallel.
    """
    streams, length = evaluation.cut(len(losses) + 1, most_streams)
    means = np.array(
        [losses[start : start + length].mean() for start in range(0, len(losses), length)]
    )
    typical = np.median(means)
    lost = means > max(typical + LOST_NATS, typical * LOST_TIMES)
    return Validation(nats=nats, streams=streams, lost=int(lost.sum()), worst=float(means.max()))


def _scoring(
    trainer: Trainer,
    network: CharacterNetwork,
    held_out: Ids,
    training: TrainingConfig,
    *,
    streams: int,
    losses: npt.NDArray[np.float32],
    limit: int,
) -> evaluation.Scoring:
    threads, forward = trainer.threads, trainer.compiled_forward(network)
    if training.scoring == "every":
        return evaluation.stateful(
            network,
            held_out,
            streams=streams,
            losses=losses,
            limit=limit,
            threads=threads,
            forward=forward,
        )
    return evaluation.windowed(
        network,
        held_out,
        window=training.sequence,
        stride=training.window_stride,
        last_only=True,
        batch=WINDOWS_AT_ONCE,
        limit=max(1, limit // training.sequence),
        threads=threads,
        forward=forward,
    )
