"""From logits to the distribution that a character is drawn from. Pure functions.

All functions work along the last axis of [..., V], so one stream and many streams share them.
V is the size of the vocabulary.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from model.config import SamplingConfig
from model.kernels.splitmix import MIN_FLOAT32_TEMPERATURE

Probabilities = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float64]
"""Logarithms of unnormalised probabilities; -inf for characters that must not be drawn."""


def is_plain(sampling: SamplingConfig) -> bool:
    """Whether float32 suffices: no truncation, and a temperature that cannot overflow, or 0."""
    temperature = sampling.temperature
    return not sampling.truncates and (temperature == 0 or temperature >= MIN_FLOAT32_TEMPERATURE)


def masked(
    logits: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.float32]:
    """Returns logits [..., V] that are -inf where ``allowed`` [V] is false.

    Temperature and truncation then see only the characters that are allowed. The logits
    themselves are returned if all are (None).
    """
    return logits if allowed is None else np.where(allowed, logits, np.float32(-np.inf))


def mask_bits(
    logits: npt.NDArray[np.floating], allowed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Returns what a mask [V] costs at each position [...], bits.

    That is ``-log2`` of the probability of all allowed characters, at temperature 1.
    """
    values = _comparable(logits)
    kept = np.where(allowed, values, -np.inf)
    bits: npt.NDArray[np.float64] = (_log_sum(values) - _log_sum(kept)) / math.log(2)
    return np.maximum(bits, 0.0)


def probabilities_of(
    ids: npt.NDArray[np.integer], logits: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Returns the probabilities [...] of the characters ``ids`` [...] under logits [..., V]."""
    weights = np.exp(logits - np.maximum.reduce(logits, axis=-1, keepdims=True))
    chosen = np.take_along_axis(weights, ids[..., None], axis=-1)[..., 0]
    probabilities: npt.NDArray[np.float32] = chosen / np.add.reduce(weights, axis=-1)
    return probabilities


def softmax(logits: npt.NDArray[np.floating]) -> Probabilities:
    """Returns ``exp(x) / sum(exp(x))`` in float64, safe against overflow."""
    values = _comparable(logits)
    probabilities: Probabilities = np.exp(
        values - np.maximum.reduce(values, axis=-1, keepdims=True)
    )
    probabilities /= np.add.reduce(probabilities, axis=-1, keepdims=True)
    return probabilities


def entropy(probabilities: Probabilities) -> float:
    """Returns Shannon's entropy in nats; characters with probability 0 contribute nothing."""
    positive = probabilities[probabilities > 0]
    return max(0.0, float(-(positive * np.log(positive)).sum()))  # never -0.0


def scores(logits: npt.NDArray[np.floating], sampling: SamplingConfig) -> Scores:
    """Returns the scores [..., V] to draw from: temperature first, then the truncation rules.

    Each rule applies to the characters that the rules before it kept. The order is top-k, top-p
    (nucleus sampling, Holtzman et al. 2020), min-p (Nguyen et al. 2024), typical (Meister et al.
    2022). At least one character stays. It is the most likely one, except with the last rule.
    Temperature 0 keeps only the first of the most likely characters.
    """
    values = _comparable(logits)
    if sampling.temperature == 0:
        greedy = np.full(values.shape, -np.inf)
        best = np.expand_dims(values.argmax(axis=-1), -1)
        np.put_along_axis(greedy, best, 0.0, axis=-1)
        return greedy
    shifted = values - np.maximum.reduce(values, axis=-1, keepdims=True)
    if sampling.temperature != 1:
        with np.errstate(over="ignore"):  # a tiny temperature correctly sends the rest to -inf
            shifted /= sampling.temperature
    if sampling.truncates:
        shifted[~_kept(softmax(shifted), sampling)] = -np.inf
    return shifted


def adjusted(logits: npt.NDArray[np.floating], sampling: SamplingConfig) -> Probabilities:
    """Returns the distribution [..., V] after temperature and truncation."""
    return softmax(scores(logits, sampling))


def choose(
    logits: npt.NDArray[np.floating], sampling: SamplingConfig, noise: npt.NDArray[np.floating]
) -> npt.NDArray[np.intp]:
    """Returns ids [...], each drawn from the distribution that ``adjusted`` returns.

    The maximum of the scores plus independent standard Gumbel noise is at an id with exactly that
    id's probability (Gumbel 1954). The scores need not be normalised. Without truncation, float32
    suffices.

    Args:
        logits: [..., V].
        sampling: temperature and truncation.
        noise: standard Gumbel noise [..., V], finite.
    """
    if sampling.truncates or sampling.temperature < MIN_FLOAT32_TEMPERATURE:
        return np.asarray(np.argmax(scores(logits, sampling) + noise, axis=-1))
    return np.asarray(np.argmax(logits * np.float32(1 / sampling.temperature) + noise, axis=-1))


def _kept(probabilities: Probabilities, sampling: SamplingConfig) -> npt.NDArray[np.bool_]:
    """Returns a mask [..., V] of the characters that the truncation rules keep."""
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
    """Returns the distribution [..., V] over the kept characters."""
    left: Probabilities = np.where(kept, probabilities, 0.0)
    left /= left.sum(axis=-1, keepdims=True)
    return left


def _count_to_reach(
    mass: float, probabilities: Probabilities, order: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Returns how many characters, taken in an order [..., V], reach a probability; [..., 1]."""
    held = np.cumsum(np.take_along_axis(probabilities, order, axis=-1), axis=-1)
    count: npt.NDArray[np.intp] = 1 + (held < mass).sum(axis=-1, keepdims=True)
    return count


def _is_typical(probabilities: Probabilities, mass: float) -> npt.NDArray[np.bool_]:
    """Returns a mask [..., V] of the smallest locally typical set that reaches a probability.

    Characters are taken in the order of the distance between their surprisal -log p and the
    entropy (Meister, Pimentel, Wiher and Cotterell 2022, "Locally Typical Sampling").
    """
    possible = probabilities > 0
    surprisal = -np.log(probabilities, where=possible, out=np.zeros_like(probabilities))
    mean = (probabilities * surprisal).sum(axis=-1, keepdims=True)
    distance = np.where(possible, np.abs(surprisal - mean), np.inf)
    order = np.argsort(distance, axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    typical: npt.NDArray[np.bool_] = rank < _count_to_reach(mass, probabilities, order)
    return typical


def _log_sum(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns ``log(sum(exp(x)))`` [...], safe against overflow."""
    most = np.maximum.reduce(values, axis=-1, keepdims=True)
    sums: npt.NDArray[np.float64] = np.log(np.exp(values - most).sum(axis=-1)) + most[..., 0]
    return sums


def _comparable(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Returns the logits in float64, with finite numbers in place of NaN and infinity.

    A learning rate that is far too large overflows the weights some steps before the guard rolls
    them back. The text written in between is nonsense, but it must not crash the sampler. A logit
    of -inf stays impossible beside a finite one.
    """
    values = np.asarray(logits, np.float64)
    if math.isfinite(np.maximum.reduce(values, axis=None)):  # NaN if any logit is NaN
        return values
    return np.nan_to_num(values, nan=0.0, posinf=1e300, neginf=-1e300)
