"""Finds the hidden units that track features of a text, such as quotes and brackets. NumPy.

Karpathy, Johnson & Fei-Fei (2015) found such cells by eye. Here units are ranked by the correlation
of their activation with the feature. Letters: T time, L layers, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from corpus import Vocabulary
from model.events import RankedUnit
from model.network.snapshot import WeightSnapshot
from model.steppers.network_steppers import network_stepper

RANKED_CHARACTERS: Final = 4_000
"""Number of characters over which activations are correlated with features."""

Feature = NDArray[np.float64]


def features_of(text: str) -> dict[str, Feature]:
    """Returns the features of a text by name. Each has its value after each character, [T].

    Features that are constant over the text are left out.
    """
    features = {
        "inside quotes": _array(text, _inside_quotes),
        "inside brackets": _array(text, _inside_brackets),
        "place in the line": _array(text, _place_in_line),
        "after a space": np.array([character.isspace() for character in text], np.float64),
        "capitals": np.array([character.isupper() for character in text], np.float64),
        "length of the word": _array(text, _place_in_word),
    }
    return {name: values for name, values in features.items() if len(values) and values.std() > 0}


def rank_units(
    snapshot: WeightSnapshot, vocabulary: Vocabulary, ids: NDArray[Any]
) -> tuple[RankedUnit, ...]:
    """Returns the unit that tracks each feature best, sorted by strength of correlation.

    Args:
        snapshot: the weights.
        vocabulary: the symbol of each id.
        ids: a text that the network was not trained on. Its first 4,000 characters are used.
    """
    ids = np.asarray(ids[:RANKED_CHARACTERS])
    features = features_of(vocabulary.decode(ids))
    activations = activations_of(snapshot, ids)
    if not features or not np.isfinite(activations).all():
        return ()
    width = activations.shape[2]
    flat = activations.reshape(len(ids), -1)
    flat = flat - flat.mean(axis=0)
    spread = np.sqrt((flat**2).sum(axis=0)) + 1e-9
    ranked = []
    for name, values in features.items():
        centred = values - values.mean()
        correlations = (centred @ flat) / (spread * np.sqrt((centred**2).sum()))
        best = int(np.argmax(np.abs(correlations)))
        correlation = float(correlations[best])
        if np.isfinite(correlation):
            ranked.append(
                RankedUnit(
                    feature=name, layer=best // width, unit=best % width, correlation=correlation
                )
            )
    return tuple(sorted(ranked, key=lambda unit: -abs(unit.correlation)))


def activations_of(snapshot: WeightSnapshot, ids: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the outputs of all units after each character from a cold start, [T, L, H]."""
    kernel = network_stepper(snapshot)
    out = np.empty((len(ids), *kernel.outputs().shape))
    for place, symbol_id in enumerate(ids):
        kernel.prime((int(symbol_id),))
        out[place] = kernel.outputs()
    return out


def _array(text: str, follow: Callable[[str], Iterator[float]]) -> Feature:
    return np.fromiter(follow(text), np.float64, len(text))


def _inside_quotes(text: str) -> Iterator[float]:
    inside = False
    for character in text:
        if character in "“«":
            inside = True
        elif character in "”»":
            inside = False
        elif character == '"':
            inside = not inside
        yield float(inside)


def _inside_brackets(text: str) -> Iterator[float]:
    depth = 0
    for character in text:
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth = max(0, depth - 1)
        yield float(depth > 0)


def _place_in_line(text: str) -> Iterator[float]:
    place = 0
    for character in text:
        place = 0 if character == "\n" else min(200, place + 1)
        yield float(place)


def _place_in_word(text: str) -> Iterator[float]:
    place = 0
    for character in text:
        place = place + 1 if character.isalnum() else 0
        yield float(place)
