"""From logits to the distribution that a character is drawn from. Pure functions.

All of them work along the last axis of [..., V], so that one stream and many share them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from model.config import SamplingConfig

Probabilities = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float64]
"""Logarithms of unnormalised probabilities; -inf for what must not be drawn."""

LEAST_FOR_FLOAT32 = 1e-3
"""A temperature below which a quotient of float32 logits might overflow."""


def is_plain(sampling: SamplingConfig) -> bool:
    """Whether characters are drawn by nothing but a temperature that suits float32, or by none."""
    temperature = sampling.temperature
    return not sampling.truncates and (temperature == 0 or temperature >= LEAST_FOR_FLOAT32)


def probabilities_of(
    ids: npt.NDArray[np.integer], logits: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Returns in float32 the probability of one character [...] of each distribution [..., V]."""
    weights = np.exp(logits - np.maximum.reduce(logits, axis=-1, keepdims=True))
    chosen = np.take_along_axis(weights, ids[..., None], axis=-1)[..., 0]
    own: npt.NDArray[np.float32] = chosen / np.add.reduce(weights, axis=-1)
    return own


def softmax(logits: npt.NDArray[np.floating]) -> Probabilities:
    """Returns ``exp(x) / sum(exp(x))`` in float64, safe against overflow."""
    values = _comparable(logits)
    probabilities: Probabilities = np.exp(
        values - np.maximum.reduce(values, axis=-1, keepdims=True)
    )
    probabilities /= np.add.reduce(probabilities, axis=-1, keepdims=True)
    return probabilities


def entropy(probabilities: Probabilities) -> float:
    """Returns Shannon's entropy in nats; characters of probability 0 add nothing."""
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())


def scores(logits: npt.NDArray[np.floating], sampling: SamplingConfig) -> Scores:
    """Returns what to draw from: temperature first, then the truncation rules.

    Each rule looks at what the rules before it left. Their order is top-k, top-p (nucleus sampling,
    Holtzman et al. 2020), min-p (Nguyen et al. 2024), typical (Meister et al. 2022). At least one
    character stays; without the last rule it is the most likely one. Temperature 0 leaves only
    the first of the most likely characters.
    """
    values = _comparable(logits)
    if sampling.temperature == 0:
        greedy = np.full(values.shape, -np.inf)
        best = np.expand_dims(values.argmax(axis=-1), -1)
        np.put_along_axis(greedy, best, 0.0, axis=-1)
        return greedy
    shifted = values - np.maximum.reduce(values, axis=-1, keepdims=True)
    if sampling.temperature != 1:
        with np.errstate(over="ignore"):  # a tiny one sends the rest to -inf, as it should
            shifted /= sampling.temperature
    if sampling.truncates:
        shifted[~_kept(softmax(shifted), sampling)] = -np.inf
    return shifted


def shaped(logits: npt.NDArray[np.floating], sampling: SamplingConfig) -> Probabilities:
    """Returns the distribution that ``scores`` are the logarithms of."""
    return softmax(scores(logits, sampling))


def choose(
    logits: npt.NDArray[np.floating], sampling: SamplingConfig, noise: npt.NDArray[np.floating]
) -> npt.NDArray[np.intp]:
    """Returns an id [...] drawn from each distribution that the logits are shaped to.

    The largest of scores plus independent standard Gumbel noise lies at an id with exactly its
    probability (Gumbel 1954). Where there is nothing but a temperature, the scores need not be
    normalised for that, nor be in float64.

    Args:
        logits: [..., V].
        sampling: temperature and truncation.
        noise: [..., V], finite.
    """
    if sampling.truncates or sampling.temperature < LEAST_FOR_FLOAT32:
        return np.asarray(np.argmax(scores(logits, sampling) + noise, axis=-1))
    return np.asarray(np.argmax(logits * np.float32(1 / sampling.temperature) + noise, axis=-1))


def _kept(probabilities: Probabilities, sampling: SamplingConfig) -> npt.NDArray[np.bool_]:
    """Tells which characters the truncation rules leave, [..., V]."""
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    kept = np.ones(probabilities.shape, bool)
    if sampling.top_k:
        kept &= rank < sampling.top_k
    if sampling.top_p < 1:
        kept &= rank < _count_to_reach(sampling.top_p, _renormalised(probabilities, kept), order)
    if sampling.min_p:
        kept &= probabilities >= sampling.min_p * probabilities.max(axis=-1, keepdims=True)
    if sampling.typical < 1:
        kept &= _is_typical(_renormalised(probabilities, kept), sampling.typical)
    return kept


def _renormalised(probabilities: Probabilities, kept: npt.NDArray[np.bool_]) -> Probabilities:
    """Returns the distribution over the characters that are kept, [..., V]."""
    left: Probabilities = np.where(kept, probabilities, 0.0)
    left /= left.sum(axis=-1, keepdims=True)
    return left


def _count_to_reach(
    mass: float, probabilities: Probabilities, order: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Returns how many characters, taken in an order, together hold a probability, [..., 1]."""
    held = np.cumsum(np.take_along_axis(probabilities, order, axis=-1), axis=-1)
    count: npt.NDArray[np.intp] = 1 + (held < mass).sum(axis=-1, keepdims=True)
    return count


def _is_typical(probabilities: Probabilities, mass: float) -> npt.NDArray[np.bool_]:
    """Tells which characters are in the locally typical set that holds a probability, [..., V].

    A character is the more typical, the closer its surprisal -log p is to the entropy (Meister,
    Pimentel, Wiher and Cotterell 2022, "Locally Typical Sampling").
    """
    possible = probabilities > 0
    surprisal = -np.log(probabilities, where=possible, out=np.zeros_like(probabilities))
    mean = (probabilities * surprisal).sum(axis=-1, keepdims=True)
    distance = np.where(possible, np.abs(surprisal - mean), np.inf)
    order = np.argsort(distance, axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    typical: npt.NDArray[np.bool_] = rank < _count_to_reach(mass, probabilities, order)
    return typical


def _comparable(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Returns the logits in float64, with finite numbers for those that went wrong.

    A learning rate that is far too large overflows the weights some steps before the guard goes
    back to good ones; what is written meanwhile is nonsense and must not be a crash. What is -inf
    on purpose stays impossible beside anything finite.
    """
    values = np.asarray(logits, np.float64)
    if math.isfinite(np.maximum.reduce(values, axis=None)):  # NaN where any number is
        return values
    return np.nan_to_num(values, nan=0.0, posinf=1e300, neginf=-1e300)
