"""The weights in a run's folder that lanes of the race can write with. NumPy, no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from model.errors import CheckpointError
from model.network.published import PublishedWeights
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import read_checkpoint
from model.runs.checkpoint_store import CheckpointStore, best_first


def kept_weights(store: CheckpointStore) -> Iterator[PublishedWeights]:
    """Yields the weights of each undamaged checkpoint for an epoch's lane, and the best ones."""
    saved = store.saved(lambda _: None)
    best = {item.path for item in best_first(saved)[:1]} if saved else set()
    for item in saved:
        with contextlib.suppress(CheckpointError):  # damaged, or pruned meanwhile
            yield from lanes_of(read_checkpoint(item.path), best=item.path in best)


def lanes_of(checkpoint: Checkpoint, *, best: bool) -> Iterator[PublishedWeights]:
    """Yields the weights of a checkpoint for an epoch's lane, and for the lane of the best ones.

    Args:
        checkpoint: a checkpoint of the run.
        best: whether its validation loss is the lowest of the run.
    """
    metadata = checkpoint.metadata
    weights = replace(
        checkpoint.published(),
        kept_as="epoch",
        epoch=metadata.epoch,
        nats_per_character=metadata.nats_per_character,
    )
    yield weights
    if best:
        yield replace(weights, kept_as="best")
