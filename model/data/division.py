"""Divides a text into a part to train on, a part to hold out, and streams. No torch."""

from __future__ import annotations

from corpus import Corpus, Split, split_ids
from corpus.counted import counted
from model.config import TrainingConfig
from model.data.batches import Batches
from model.errors import ConfigError


def split_of(corpus: Corpus, training: TrainingConfig, notes: list[str]) -> Split:
    """Returns the parts to train on and to hold out; adds a note if the text is too short."""
    split = split_ids(corpus.ids, training.validation_fraction)
    if len(split.held_out) < 2 or len(split.train) <= training.sequence < len(corpus.ids):
        if training.validation_fraction:
            notes.append("the text is too short to hold a part out: there is no validation")
        return split_ids(corpus.ids, 0.0)
    return split


def check_division(batches: Batches, processes: int) -> None:
    """Refuses more processes than streams, because a process would be idle."""
    if batches.batch < processes:
        raise ConfigError(
            "--batch",
            f"{batches.batch} streams of this text cannot be divided among {processes} processes",
            "start fewer processes, or give a larger --batch or a longer text",
        )


def note_smaller_batch(batch: int, asked: int, notes: list[str]) -> None:
    """Adds a note if the text gives fewer streams than were asked for."""
    if batch < asked:
        notes.append(f"the text is short: {counted(batch, 'stream')} instead of {asked}")
