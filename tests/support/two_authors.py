"""Two tiny models with different symbols: their weights, and the runs that hold them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from model_fixtures import TINY_MODEL, make_checkpoint, random_weights

from corpus import Vocabulary
from model.network.published import PublishedWeights
from model.network.snapshot import LstmSnapshot
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import write_checkpoint
from model.runs.checkpoint_form import WEIGHT_PREFIX

FIRST_SYMBOLS = "\n abcde("
SECOND_SYMBOLS = "\n abdefé"
"""The first model lacks fé, the second one c(."""


def weights_of(symbols: str, seed: int, *, window: int | None = None) -> PublishedWeights:
    """Returns random weights of a tiny network with these symbols."""
    vocabulary = Vocabulary.from_symbols(symbols)
    weights = random_weights(TINY_MODEL, len(vocabulary), seed=seed)
    return PublishedWeights(
        snapshot=LstmSnapshot.from_weights(weights, step=seed),
        vocabulary=vocabulary,
        window=window,
    )


def checkpoint_of(run: str, symbols: str, seed: int) -> Checkpoint:
    """Returns a checkpoint with random weights and these symbols."""
    vocabulary = Vocabulary.from_symbols(symbols)
    made = make_checkpoint(step=seed)
    weights = random_weights(TINY_MODEL, len(vocabulary), seed=seed)
    return Checkpoint(
        metadata=dataclasses.replace(made.metadata, run=run, vocabulary=vocabulary),
        tensors={WEIGHT_PREFIX + name: value for name, value in weights.items()},
    )


def write_authors(root: Path) -> tuple[Path, Path]:
    """Writes two runs, called one and two, with a checkpoint each; returns the files."""
    files = []
    for seed, (name, symbols) in enumerate((("one", FIRST_SYMBOLS), ("two", SECOND_SYMBOLS)), 1):
        folder = root / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text('{"corpus": {"name": "poem"}}', encoding="utf-8")
        path = folder / f"step-{seed:08}.safetensors"
        write_checkpoint(path, checkpoint_of(name, symbols, seed))
        files.append(path)
    return files[0], files[1]
