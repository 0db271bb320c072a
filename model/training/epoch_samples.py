"""Samples texts during training: one prompt, continued at each temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from corpus import Vocabulary
from model.config import TrainingConfig
from model.data.batches import Ids
from model.network.snapshot import WeightSnapshot
from model.runs.open import OpenedRun
from model.sampling.race import LaneModel, Race
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.stepper import MakeBatchStepper
from model.training.trainer import Trainer


def seed_text(ids: Ids, vocabulary: Vocabulary, training: TrainingConfig, epoch: int) -> str:
    """Returns a random piece of the text as a prompt.

    All epochs of a run use the same piece, unless ``fresh_sample_prompts`` is set.
    """
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
    make_stepper: MakeBatchStepper = numpy_batch_stepper,
) -> list[tuple[float, str]]:
    """Returns each temperature with its sampled text. All texts use the same random numbers.

    Args:
        snapshot: the weights.
        vocabulary: the symbol of each id.
        training: the settings: number of characters, temperatures and seed.
        prompt: the text to continue.
        cancelled: called before each character; if it returns True, the result is an empty list.
        make_stepper: makes the stepper that computes the network.
    """
    if not training.sample_temperatures or not training.sample_length:
        return []
    network = LaneModel.of_weights(snapshot, window=training.window, make_stepper=make_stepper)
    race = Race(
        [("network", temperature) for temperature in training.sample_temperatures],
        {"network": network},
        vocabulary,
        seed=training.seed,
        prompt=prompt,
    )
    written = []
    for _ in range(training.sample_length):
        if cancelled():
            return []
        written.append(race.step().characters)
    texts = map("".join, zip(*written, strict=True))
    return list(zip(training.sample_temperatures, texts, strict=True))


def samples_of(
    run: OpenedRun, trainer: Trainer, cancelled: Callable[[], bool], make_stepper: MakeBatchStepper
) -> Iterator[tuple[float, str, str]]:
    """Yields temperature, prompt and text of the samples after an epoch, until it is cancelled."""
    vocabulary, training = run.corpus.vocabulary, run.training
    prompt = seed_text(run.split.train, vocabulary, training, trainer.epoch)
    for temperature, text in write_samples(
        trainer.snapshot(),
        vocabulary,
        training,
        prompt,
        cancelled=cancelled,
        make_stepper=make_stepper,
    ):
        if cancelled():
            return
        yield temperature, prompt, text
