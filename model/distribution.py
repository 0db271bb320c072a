"""From logits to the distribution that a character is drawn from. Pure functions on [V] arrays."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from model.config import SamplingConfig

Probabilities = npt.NDArray[np.float64]


def softmax(logits: npt.NDArray[np.floating]) -> Probabilities:
    """Returns ``exp(x) / sum(exp(x))`` in float64, safe against overflow."""
    values = _comparable(logits)
    probabilities: Probabilities = np.exp(values - values.max())
    probabilities /= probabilities.sum()
    return probabilities


def entropy(probabilities: Probabilities) -> float:
    """Returns Shannon's entropy in nats; characters of probability 0 add nothing."""
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())


def shaped(logits: npt.NDArray[np.floating], sampling: SamplingConfig) -> Probabilities:
    """Returns the distribution to draw from: temperature first, then the cuts, each renormalised.

    The cuts come in the order top-k, top-p (nucleus sampling, Holtzman et al. 2020), min-p (Nguyen
    et al. 2024); the most likely character always stays. Temperature 0 puts all on the first of
    the most likely characters.
    """
    scaled = _comparable(logits)
    if sampling.temperature == 0:
        greedy = np.zeros(scaled.shape)
        greedy[int(scaled.argmax())] = 1.0
        return greedy
    scaled = scaled - scaled.max()
    with np.errstate(over="ignore"):  # a tiny temperature sends the rest to -inf, as it should
        probabilities = softmax(scaled / sampling.temperature)
    if 0 < sampling.top_k < probabilities.size:
        keep = np.argsort(-probabilities, kind="stable")[: sampling.top_k]
        probabilities = _only(probabilities, keep)
    if sampling.top_p < 1:
        order = np.argsort(-probabilities, kind="stable")
        held = np.cumsum(probabilities[order])
        count = int(np.searchsorted(held, sampling.top_p)) + 1
        probabilities = _only(probabilities, order[:count])
    if sampling.min_p > 0:
        likely = probabilities >= sampling.min_p * probabilities.max()
        probabilities = _only(probabilities, np.flatnonzero(likely))
    return probabilities


def draw(probabilities: Probabilities, uniform: float) -> int:
    """Returns the id at which the cumulated probability passes ``uniform`` (in [0, 1))."""
    cumulated = np.cumsum(probabilities)
    # Rounding may leave the total a hair under 1: scaling by it keeps the last id in reach and
    # searching from the right skips ids of probability 0.
    return int(np.searchsorted(cumulated, uniform * cumulated[-1], side="right"))


def _comparable(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Returns the logits in float64, with finite numbers for those that went wrong.

    A learning rate that is far too large overflows the weights some steps before the guard goes
    back to good ones; what is written meanwhile is nonsense and must not be a crash.
    """
    values = np.asarray(logits, np.float64)
    if math.isfinite(values.max()):  # a maximum is NaN where any number is
        return values
    return np.nan_to_num(values, nan=0.0, posinf=1e300, neginf=-1e300)


def _only(probabilities: Probabilities, keep: npt.NDArray[np.intp]) -> Probabilities:
    kept = np.zeros_like(probabilities)
    kept[keep] = probabilities[keep]
    kept /= kept.sum()
    return kept
