"""The n-gram models of one text: for the chart, the pane of the run and lanes of the race."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from corpus import Split, Vocabulary
from model.config import NGRAM_ORDERS
from model.ngram.ngram_model import NgramModel
from model.ngram.ngram_stepper import NgramStepper
from model.sampling.race import LaneModel
from model.session.race_runner import LaneSource


class CountedNgrams:
    """Counts the training part once for each order that is asked for, and keeps the models."""

    def __init__(
        self,
        split: Split,
        vocabulary: Vocabulary,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Counts nothing yet.

        Args:
            split: the parts of the text.
            vocabulary: what its ids mean.
            cancelled: is asked often; once it returns true, counting raises `BuildCancelled`.
        """
        self._split = split
        self._vocabulary = vocabulary
        self._cancelled = cancelled
        self._models: dict[int, NgramModel] = {}
        self._bits: dict[int, float] = {}

    def model(self, order: int) -> NgramModel:
        """Returns the model that predicts from ``order`` characters.

        Raises:
            BuildCancelled: the counting was cancelled.
        """
        if order not in self._models:
            self._models[order] = NgramModel.build(
                self._split.train, len(self._vocabulary), order, cancelled=self._cancelled
            )
        return self._models[order]

    def bits(self, order: int) -> float | None:
        """Returns a model's bits per character on the held-out part; None if that is empty.

        Raises:
            BuildCancelled: the counting was cancelled.
        """
        if not len(self._split.held_out):
            return None
        if order not in self._bits:
            self._bits[order] = self.model(order).nats(self._split.held_out) / math.log(2)
        return self._bits[order]

    def lanes(self) -> tuple[LaneSource, ...]:
        """Returns the models of all n-gram lanes.

        Raises:
            BuildCancelled: the counting was cancelled.
        """
        return tuple(
            LaneSource(
                kind=kind,
                model=LaneModel(make_stepper=partial(NgramStepper, self.model(order))),
                vocabulary=self._vocabulary,
                bits_per_character=self.bits(order),
            )
            for kind, order in NGRAM_ORDERS.items()
        )
