"""The implementations of Keras 3 on TensorFlow that `bench` measures, if both are installed.

They are optional: without Keras its rows are left out.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from typing import Any

import numpy as np

from model.bench.rows import Implementation, Task, rate_of

WINDOW = 60
HIDDEN = 128
BATCH = 128
WINDOWS = 2_048
"""Windows of one ``fit``; each scores one character."""
TEMPERATURE = 0.5


def keras_is_installed() -> bool:
    """Whether Keras and TensorFlow can be imported."""
    return all(find_spec(name) is not None for name in ("keras", "tensorflow"))


def fits(task: Task) -> bool:
    """Whether a task has the shape of the notebook: one layer of 128, and 32 or 1 streams."""
    wanted = 32 if task.kind == "training" else 1
    return (task.hidden, task.layers, task.width) == (HIDDEN, 1, wanted)


def keras_fit(symbols: int) -> Implementation:
    """Returns the notebook's training: one-hot windows of 60, RMSprop 0.01, batches of 128.

    Its rate counts scored characters: one of each window.
    """
    model = notebook_model(symbols)
    random = np.random.default_rng(0)
    identity = np.eye(symbols, dtype=bool)
    windows = identity[random.integers(symbols, size=(WINDOWS, WINDOW))]
    targets = identity[random.integers(symbols, size=WINDOWS)]

    def fit() -> None:
        model.fit(windows, targets, batch_size=BATCH, epochs=1, verbose=0)

    return lambda span: rate_of(fit, WINDOWS, span)


def keras_predict(symbols: int) -> Implementation:
    """Returns the notebook's sampling: ``predict`` on the last 60 characters, then a draw."""
    model = notebook_model(symbols)
    random = np.random.default_rng(0)
    recent = [int(symbol) for symbol in random.integers(symbols, size=WINDOW)]

    def write() -> None:
        window = np.zeros((1, WINDOW, symbols))
        window[0, np.arange(WINDOW), recent] = 1
        logits = np.log(model.predict(window, verbose=0)[0].astype(np.float64)) / TEMPERATURE
        weights = np.exp(logits - logits.max())
        recent.append(int(random.choice(symbols, p=weights / weights.sum())))
        del recent[0]

    return lambda span: rate_of(write, 1, span)


def notebook_model(symbols: int) -> Any:
    """Returns the notebook's compiled Keras model."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    keras: Any = importlib.import_module("keras")
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((WINDOW, symbols)),
            layers.LSTM(HIDDEN),
            layers.Dense(symbols, activation="softmax"),
        ]
    )
    optimiser = keras.optimizers.RMSprop(learning_rate=0.01)
    model.compile(loss="categorical_crossentropy", optimizer=optimiser)
    return model
