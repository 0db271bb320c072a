"""Shannon's bounds on bits per character, from how many guesses each letter took.

C. E. Shannon, "Prediction and Entropy of Printed English" (1951), section 5, equation 17. With q(i)
as the frequency of the letters that were right at the i-th guess:

    sum of i (q(i) - q(i+1)) log2 i  <=  bits per character  <=  - sum of q(i) log2 q(i)

The upper bound holds because the text can be recovered from the numbers of guesses by a reader who
guesses in the same way. The lower bound assumes that guesses come in the order of
their probability; then q never rises. Counts from a short text do rise here and there, which
Shannon smoothed by hand. Here the nearest frequencies that never rise are computed: neighbouring
ranks that rise are averaged (isotonic regression by pooling; Ayer et al. 1955). Both bounds use
them, so that the lower bound is never above the upper one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bits per character lie between these two, as far as the counted letters show."""

    lower: float
    upper: float
    letters: int
    """Number of letters that the bounds rest on."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Neighbouring ranks with one averaged frequency."""

    width: int
    """Number of ranks."""
    count: int
    """Number of letters with one of these ranks."""

    @property
    def mean(self) -> float:
        """Letters per rank."""
        return self.count / self.width

    def joined(self, other: _Block) -> _Block:
        """Returns a block of the ranks of both."""
        return _Block(self.width + other.width, self.count + other.count)


def bounds_of(ranks: Iterable[int]) -> Bounds | None:
    """Returns the bounds for letters that took these numbers of guesses; None without a letter.

    Args:
        ranks: for each letter the number of guesses, the right one included: 1 or more.
    """
    counts = Counter(ranks)
    letters = counts.total()
    if not letters:
        return None
    blocks = list(_never_rising(counts))
    lower, upper, end = [], [], 0
    for block, following in pairwise((*blocks, _Block(1, 0))):
        frequency = block.mean / letters
        end += block.width
        lower.append(end * (frequency - following.mean / letters) * math.log2(end))
        if block.count:
            upper.append(block.width * -frequency * math.log2(frequency))
    low, high = max(0.0, math.fsum(lower)), max(0.0, math.fsum(upper))
    return Bounds(lower=min(low, high), upper=high, letters=letters)


def _never_rising(counts: Mapping[int, int]) -> Iterator[_Block]:
    """Yields blocks from rank 1 on whose means fall: the least-squares fit to the counts."""
    blocks: list[_Block] = []
    last = 0
    for rank in sorted(counts):
        gap = rank - last - 1
        for block in ((_Block(gap, 0),) if gap else ()) + (_Block(1, counts[rank]),):
            joined = block
            while blocks and blocks[-1].mean <= joined.mean:
                joined = blocks.pop().joined(joined)
            blocks.append(joined)
        last = rank
    yield from blocks
