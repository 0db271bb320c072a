"""Drawing a character after truncation, compiled. Numba.

The rules, their order and their sources are those of ``model.sampling.distribution.scores``.
Mostly the character with the highest score is kept, and no other one has to be looked at: see
`is_kept`. Otherwise `draw_truncated` sorts them, in float64. ``rules`` are float64 [5]: temperature
(not 0), top-k, top-p, min-p, typical. Letter: V vocabulary.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from model.kernels.dtypes import Array
from model.kernels.jit import inline
from model.kernels.splitmix import MIN_FLOAT32_TEMPERATURE
from model.kernels.vecmath import exp, exponentials, largest, total_of

_LARGEST: Final = 1e300
"""Takes the place of infinity, so that differences stay numbers."""


@inline
def keeps_each_alone(rules: Array) -> bool:
    """Whether `is_kept` can tell of a character if the rules keep it.

    It cannot if a rule is for the probabilities among those that a rule before it has kept, or if a
    float32 may overflow.
    """
    temperature, top_k, top_p, _, typical = rules
    if temperature < MIN_FLOAT32_TEMPERATURE or typical < 1:
        return False
    return bool(top_k == 0 or top_p == 1)


@inline
def is_kept(symbol: int, logits: Array, scale: Any, rules: Array) -> bool:
    """Whether top-k or top-p, and min-p, keep a character, for logits [V] in float32.

    NaN is kept. ``scale`` is 1 / temperature.
    """
    _, top_k, top_p, min_p, _ = rules
    value, most, before = logits[symbol], largest(logits), 0
    for v in range(len(logits)):
        before += logits[v] > value
    for v in range(symbol):
        before += logits[v] == value
    if 0 < top_k <= before or exp((value - most) * scale) < min_p:
        return False
    if top_p == 1:
        return True
    shares = np.empty(len(logits), np.float32)
    exponentials(logits, most, scale, shares)
    total = total_of(shares)
    for v in range(len(logits)):
        shares[v] = shares[v] if logits[v] > value else np.float32(0)
    held = total_of(shares)
    for v in range(symbol):
        held += exp((value - most) * scale) if logits[v] == value else np.float32(0)
    return not held >= top_p * total


@inline
def draw_truncated(logits: Array, noise: Array, rules: Array) -> Any:
    """Returns the id that is drawn among those that the rules keep; all are float32 [V]."""
    temperature, top_k, top_p, min_p, mass = rules
    scores, probabilities = _softmax(logits, temperature)
    order = np.argsort(-probabilities, kind="mergesort")
    count = len(order)
    if 0 < top_k < count:
        count = int(top_k)
    if top_p < 1:
        count = _count_to_reach(top_p, probabilities, order[:count])
    least = min_p * probabilities[order[0]]
    while count > 1 and probabilities[order[count - 1]] < least:
        count -= 1
    kept = order[:count]
    if mass < 1:
        kept = _typical(mass, probabilities, np.sort(kept))
    best, most = kept[0], scores[kept[0]] + noise[kept[0]]
    for symbol in kept:
        score = scores[symbol] + noise[symbol]
        # Of equal scores the first id is drawn, as NumPy does.
        if score > most or (score == most and symbol < best):
            best, most = symbol, score
    return best


@inline
def _softmax(logits: Array, temperature: float) -> Any:
    """Returns logarithms of unnormalised probabilities, and the probabilities, each [V]."""
    scores, most = np.empty(len(logits), np.float64), np.float64(-_LARGEST)
    for v in range(len(logits)):
        logit = np.float64(logits[v])
        if math.isnan(logit):
            logit = np.float64(0)
        scores[v] = min(max(logit, -_LARGEST), _LARGEST)
        most = max(most, scores[v])
    probabilities, total = np.empty_like(scores), 0.0
    for v in range(len(scores)):
        scores[v] = (scores[v] - most) / temperature
        probabilities[v] = math.exp(scores[v])
        total += probabilities[v]
    probabilities /= total
    return scores, probabilities


@inline
def _count_to_reach(mass: float, probabilities: Array, order: Array) -> int:
    """Returns how many ids, taken in their order, reach a share of the probability of all."""
    total = 0.0
    for symbol in order:
        total += probabilities[symbol]
    held, count = 0.0, 1
    for symbol in order[:-1]:
        held += probabilities[symbol] / total
        if held >= mass:
            break
        count += 1
    return count


@inline
def _typical(mass: float, probabilities: Array, kept: Array) -> Array:
    """Returns the smallest locally typical set of the kept ids, which are in ascending order."""
    total = probabilities[kept].sum()
    surprisal = np.empty(len(kept), np.float64)
    entropy = 0.0
    for place, symbol in enumerate(kept):
        share = probabilities[symbol] / total
        surprisal[place] = -math.log(share) if share > 0 else np.inf
        entropy += share * surprisal[place] if share > 0 else 0.0
    order = kept[np.argsort(np.abs(surprisal - entropy), kind="mergesort")]
    return order[: _count_to_reach(mass, probabilities, order)]
