"""The samples of a training: one seed text, written on from at each temperature."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from corpus import Vocabulary
from model.batches import Ids
from model.config import SamplingConfig, TrainingConfig
from model.sampler import CharacterStream
from model.snapshot import WeightSnapshot


def seed_text(ids: Ids, vocabulary: Vocabulary, training: TrainingConfig, epoch: int) -> str:
    """Returns a piece of the text to write on from: the same for all epochs of a run, or not."""
    which = epoch if training.fresh_sample_prompts else 0
    random = np.random.default_rng([training.seed, 3, which])
    start = int(random.integers(max(1, len(ids) - training.sample_prompt)))
    return vocabulary.decode(ids[start : start + training.sample_prompt])


def write_samples(
    snapshot: WeightSnapshot, vocabulary: Vocabulary, training: TrainingConfig, prompt: str
) -> Iterator[tuple[float, str]]:
    """Yields temperature and text for each temperature, all with the noise of one seed."""
    for temperature in training.sample_temperatures:
        stream = CharacterStream(
            snapshot,
            vocabulary,
            sampling=SamplingConfig(temperature=temperature),
            seed=training.seed,
            prompt=prompt,
            window=training.window,
            candidates=0,
        )
        yield temperature, "".join(stream.step().character for _ in range(training.sample_length))
