"""Which samples of a long training are kept in memory: its first, its last, fewer between. Pure."""

from __future__ import annotations

from typing import Final

from model.events import SampleRecorded

SAMPLES: Final = 2_000
"""Maximum number of samples in memory; `samples.jsonl` in the run's folder has all."""

Samples = tuple[SampleRecorded, ...]


def epochs_of(samples: Samples) -> list[int]:
    """Returns the epochs that have samples, in order."""
    return sorted({sample.epoch for sample in samples})


def with_sample(samples: Samples, sample: SampleRecorded, maximum: int = SAMPLES) -> Samples:
    """Returns the samples and one more; above the maximum, drops every second epoch.

    The first quarter of the epochs, where words are born, and the newest quarter stay whole.
    """
    grown = (*samples, sample)
    if len(grown) <= maximum:
        return grown
    epochs = epochs_of(grown)
    quarter = len(epochs) // 4 + 1
    dropped = frozenset(epochs[quarter : len(epochs) - quarter : 2])
    thinned = tuple(kept for kept in grown if kept.epoch not in dropped)
    return thinned[-maximum:]  # all of one epoch, or of hardly more


def are_thinned(samples: Samples) -> bool:
    """Whether epochs between the first and the last are missing."""
    epochs = epochs_of(samples)
    return bool(epochs) and epochs[-1] - epochs[0] >= len(epochs)
