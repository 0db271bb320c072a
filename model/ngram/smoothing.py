"""From counts to probabilities: interpolated Kneser-Ney smoothing with three discounts.

Kneser & Ney (1995), modified and interpolated as in Chen & Goodman (1999), "An empirical study of
smoothing techniques for language modeling", equations 25 to 27. Letters: G grams, C contexts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.ngram.counts import Counts, Grams

Weights = NDArray[np.float32]

USUAL_DISCOUNTS = (0.0, 0.5, 0.75, 1.0)
"""Instead of an estimate, for lengths with too few grams, as those of one character."""
MIN_DISCOUNT = 0.1
"""A discount is positive, so that every context leaves some probability to unseen characters."""


def discounts(counts: Counts) -> NDArray[np.float64]:
    """Returns what is subtracted from a count of 0, 1, 2 and at least 3; from 0 nothing.

    The estimate needs grams with the counts 1 to 4. It is kept between `MIN_DISCOUNT` and the
    count.

    Args:
        counts: [G], at least 1.
    """
    ones, twos, threes, fours = np.bincount(np.minimum(counts, 5), minlength=6)[1:5]
    if 0 in {ones, twos, threes, fours}:
        return np.array(USUAL_DISCOUNTS)
    ratio = ones / (ones + 2 * twos)
    estimates = (
        1 - 2 * ratio * twos / ones,
        2 - 3 * ratio * threes / twos,
        3 - 4 * ratio * fours / threes,
    )
    return np.append(0.0, np.clip(estimates, MIN_DISCOUNT, (1, 2, 3)))


def smoothed(grams: Grams, contexts: int) -> tuple[Weights, Weights]:
    """Returns the probability [G] of each gram beyond its shorter one's, and the latter's share.

    With gram (c, w), count n and discount d, the probability of w after c is
    ``(n - d) / total + share[c] * P(w after the shorter context)``, where ``total`` is the sum of
    the counts of c, and ``share[c]`` the sum of its discounts divided by ``total``. The share [C]
    of a context that nothing follows is 1.

    Args:
        grams: all grams of one length.
        contexts: C.
    """
    kinds = np.minimum(grams.counts, 3).astype(np.uint8)
    discount = discounts(grams.counts)[kinds]
    total = np.bincount(grams.contexts, weights=grams.counts, minlength=contexts)
    share = np.bincount(grams.contexts, weights=discount, minlength=contexts)
    np.divide(share, total, out=share, where=total > 0)
    share[total == 0] = 1
    gain = np.subtract(grams.counts, discount, out=discount)
    gain /= total[grams.contexts]
    return gain.astype(np.float32), share.astype(np.float32)
