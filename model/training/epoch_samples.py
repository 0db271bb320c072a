"""The samples of a training: one seed text, written on from at each temperature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from corpus import Vocabulary
from model.config import TrainingConfig
from model.data.batches import Ids
from model.network.snapshot import WeightSnapshot
from model.sampling.numpy_lstm import LstmBatchStepper
from model.sampling.race import Race
from model.sampling.stepper import MakeBatchStepper


def seed_text(ids: Ids, vocabulary: Vocabulary, training: TrainingConfig, epoch: int) -> str:
    """Returns a piece of the text to write on from: the same for all epochs of a run, or not."""
    which = epoch if training.fresh_sample_prompts else 0
    random = np.random.default_rng([training.seed, 3, which])
    start = int(random.integers(max(1, len(ids) - training.sample_prompt)))
    return vocabulary.decode(ids[start : start + training.sample_prompt])


def write_samples(
    snapshot: WeightSnapshot,
    vocabulary: Vocabulary,
    training: TrainingConfig,
    prompt: str,
    *,
    cancelled: Callable[[], bool],
    make_stepper: MakeBatchStepper = LstmBatchStepper,
) -> list[tuple[float, str]]:
    """Returns each temperature and what was written at it, all with the noise of one seed.

    Args:
        snapshot: the weights.
        vocabulary: what the ids mean.
        training: how many characters, at which temperatures, from which seed.
        prompt: what to write on from.
        cancelled: asked before each character; once it says so, nothing is returned.
        make_stepper: makes what computes.
    """
    if not training.sample_temperatures or not training.sample_length:
        return []
    race = Race(
        snapshot,
        vocabulary,
        temperatures=training.sample_temperatures,
        seed=training.seed,
        prompt=prompt,
        window=training.window,
        make_stepper=make_stepper,
    )
    written = []
    for _ in range(training.sample_length):
        if cancelled():
            return []
        written.append(race.step().characters)
    texts = map("".join, zip(*written, strict=True))
    return list(zip(training.sample_temperatures, texts, strict=True))
