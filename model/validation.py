"""Validation while a network is trained: when it is due, and the held-out loss of the best weights.

The held-out part is scored as the recipe is meant to be judged: with carried state, or for a
recipe of windows the character after each window.
"""

from __future__ import annotations

from collections.abc import Callable

from model import evaluation
from model.batches import Ids
from model.config import TrainingConfig
from model.network import CharacterLSTM
from model.trainer import Trainer

LONGEST_PAUSE = 10.0
"""Seconds of training between two validations."""
FIRST_PAUSE = 1.0
GROWTH = 0.5
"""Pause before the next validation as a part of the training time so far."""
SHARE = 0.1
"""Of the time, at most, for validations within an epoch."""
STREAMS = 16
WINDOWS_AT_ONCE = 512


def next_pause(trained_seconds: float, cost: float) -> float:
    """Returns how long to train until the next validation within an epoch.

    Often at the start, where every second changes the curve, and later every ten seconds; never so
    often that validations take more than a tenth of the time.

    Args:
        trained_seconds: training time so far.
        cost: seconds that the last validation took.
    """
    pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, GROWTH * trained_seconds))
    return max(pause, cost / SHARE)


def validate(
    trainer: Trainer, held_out: Ids, training: TrainingConfig, hurried: Callable[[], bool]
) -> float | None:
    """Returns the held-out loss of the better of last and averaged weights, nats per character.

    Tells the trainer once the averaged weights have proved better.

    Returns:
        None where somebody was in a hurry.
    """
    losses = []
    for network in trainer.networks:
        scoring = _scoring(network, held_out, training)
        while not hurried():
            try:
                next(scoring)
            except StopIteration as end:
                losses.append(float(end.value))
                break
        else:
            return None
    if len(losses) == 2 and losses[1] < losses[0]:
        trainer.average_leads = True
    # A NaN is not smaller than anything: the last weights' loss is returned where it is one.
    return min(losses)


def _scoring(network: CharacterLSTM, held_out: Ids, training: TrainingConfig) -> evaluation.Scoring:
    if training.scoring == "every":
        return evaluation.stateful(network, held_out, streams=STREAMS)
    return evaluation.windowed(
        network,
        held_out,
        window=training.sequence,
        stride=training.window_stride,
        last_only=True,
        batch=WINDOWS_AT_ONCE,
    )
