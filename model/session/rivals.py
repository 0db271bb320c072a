"""Saved runs of the other networks on the same text, for lanes of the race. NumPy, no torch."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

from corpus import Corpus, UserError
from model.config import NetworkKind
from model.runs.folder import RunFolder
from model.sampling.race import LaneModel
from model.session.race_runner import LaneSource


def rivals(root: Path, network: NetworkKind, corpus: Corpus) -> Iterator[LaneSource]:
    """Yields the best weights of the newest readable run of each other network on a text.

    Args:
        root: the folder of runs.
        network: the network of the session, which has lanes already.
        corpus: the text. The vocabularies of the runs must be the same, too.
    """
    there = {network}
    with contextlib.suppress(UserError):
        folders = RunFolder.all(root)
        for folder in sorted(folders, key=lambda each: -each.checkpoints.last_written()):
            source = _best_of(folder, corpus, there)
            if source is not None:
                there.add(source.kind)
                yield source


def _best_of(folder: RunFolder, corpus: Corpus, there: set[NetworkKind]) -> LaneSource | None:
    """Returns the best weights of a run on the text; None if its network is there already."""
    saved = folder.checkpoints.saved(lambda _: None)
    newest = saved[-1].metadata if saved else None
    if (
        newest is None
        or newest.model.network in there
        or newest.source.sha256 != corpus.sha256
        or newest.vocabulary.symbols != corpus.vocabulary.symbols
    ):
        return None
    with contextlib.suppress(UserError):  # all are damaged, or removed meanwhile
        best = folder.checkpoints.load_best(lambda _: None)
        published, nats = best.published(), best.metadata.nats_per_character
        return LaneSource(
            kind=newest.model.network,
            model=LaneModel.of_weights(published.snapshot, window=published.window),
            vocabulary=published.vocabulary,
            bits_per_character=None if nats is None else nats / math.log(2),
        )
    return None
