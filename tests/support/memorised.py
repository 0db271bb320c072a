"""Weights that know one text by heart, without a training: what they write is known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from model_fixtures import make_checkpoint, random_weights

from corpus import Vocabulary
from model.config import ModelConfig
from model.network.parameters import weight_snapshot
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_form import WEIGHT_PREFIX
from model.sampling.prompt import first_ids
from model.steppers.numpy_lstm import LstmStepper

MODEL = ModelConfig(hidden=128, embedding=0)


def knowing(text: str, run: str = "tiny", corpus: str = "text.txt") -> Checkpoint:
    """Returns a checkpoint that writes the text, and again, at temperature 0.

    The LSTM is random, and its states differ at each character of the text. The head is solved for
    by least squares, so that each state leads to the character that comes next.
    """
    vocabulary = Vocabulary.from_symbols(text)
    size = len(vocabulary)
    weights = random_weights(MODEL, size, scale=0.15)
    weights["head.weight"][:] = weights["head.bias"][:] = 0
    ids = [int(symbol) for symbol in vocabulary.encode(text * 3)]
    stepper = LstmStepper(weight_snapshot(MODEL, weights, step=1))
    states = []
    for symbol in [*first_ids("", vocabulary), *ids[:-1]]:
        stepper.prime([symbol])
        states.append(stepper.outputs()[0].astype(np.float64))
    seen = np.array(states)
    wished = 12 * np.eye(size)[ids]
    inner = seen.T @ seen + 1e-6 * np.eye(MODEL.hidden)
    weights["head.weight"][:] = np.linalg.solve(inner, seen.T @ wished).T
    made = make_checkpoint(1, nats=1.0, model=MODEL)
    source = replace(made.metadata.source, name=corpus)
    return Checkpoint(
        metadata=replace(made.metadata, run=run, source=source, vocabulary=vocabulary),
        tensors={WEIGHT_PREFIX + name: weight for name, weight in weights.items()},
    )
