"""Steps two models through one text. NumPy.

Each model reads the characters that it knows. One that it lacks is left out of its input: its state
stays as it was, as if the character had not been written. Letters: S streams, U united symbols.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

import numpy as np

from model.network.snapshot import FloatArray, WeightSnapshot
from model.steppers.mixture import NOT_KNOWN, Author, MixedSnapshot, log_softmax, mixed_logits
from model.steppers.network_steppers import network_batch_stepper, network_stepper
from model.steppers.stepper import CarryingBatchStepper, Stepper, StepperState, Symbols

StepperT = TypeVar("StepperT", bound=Stepper | CarryingBatchStepper)
SymbolT = TypeVar("SymbolT", bound=int | Symbols)
"""An id, or those of S streams."""


class _Reader(Generic[StepperT, SymbolT]):
    """One model of a mixture, which reads united ids: of one stream, or of S side by side."""

    def __init__(self, author: Author, stepper: StepperT) -> None:
        self._author = author
        self._stepper = stepper
        self._recent: deque[SymbolT] = deque(maxlen=author.window or 1)

    def adopt(self, author: Author) -> None:
        self._stepper.adopt(author.snapshot)
        self._author = author

    def reset(self) -> None:
        self._stepper.reset()
        self._recent.clear()

    @property
    def state(self) -> StepperState:
        """The stepper's state; with a window the ids in it, [W] or [W, S]."""
        if self._author.window is None:
            return self._stepper.state
        return (np.array(self._recent, np.float32),)  # exact: ids are below 2 to the 24th

    @state.setter
    def state(self, state: StepperState) -> None:
        if self._author.window is None:
            self._stepper.state = state
        else:
            self._recent = deque(state[0].astype(np.intp), maxlen=self._author.window)

    def _to_read(self, ids: Iterable[SymbolT]) -> list[SymbolT]:
        """Notes ids; returns those to read: with a window all in it, from a cold start."""
        self._recent.extend(ids := list(ids))
        if self._author.window is None:
            return ids
        self._stepper.reset()
        return list(self._recent)


class _StreamReader(_Reader[Stepper, int]):
    """Reads one stream."""

    def prime(self, ids: Iterable[int]) -> FloatArray:
        """Reads united ids; returns the united logits [U] after the last."""
        own = (int(self._author.own_ids[symbol_id]) for symbol_id in self._to_read(ids))
        logits = self._stepper.prime(symbol_id for symbol_id in own if symbol_id != NOT_KNOWN)
        return self._author.united_logits(logits)

    def outputs(self) -> FloatArray:
        return self._stepper.outputs()


class _BatchReader(_Reader[CarryingBatchStepper, Symbols]):
    """Reads S streams side by side."""

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Reads united ids [S] in turn; returns the united logits [U, S] after the last."""
        for symbols in self._to_read(ids):
            self._read(self._author.own_ids[symbols])
        return self._author.united_logits(self._stepper.prime(()))

    def _read(self, own: Symbols) -> None:
        """Reads ids of the model [S]; a stream whose symbol it lacks keeps its state."""
        lacking = own == NOT_KNOWN
        kept = [part.copy() for part in self._stepper.state] if lacking.any() else []
        self._stepper.prime((np.maximum(own, 0),))
        if kept:
            after = zip(kept, self._stepper.state, strict=True)
            self._stepper.state = tuple(np.where(lacking, *both) for both in after)


ReaderT = TypeVar("ReaderT", bound=_StreamReader | _BatchReader)


class _Mixture(Generic[ReaderT]):
    """The readers of two models, and how much the second one counts."""

    def __init__(self, mix: float, first: ReaderT, second: ReaderT) -> None:
        self._mix, self._first, self._second = mix, first, second

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape, and the mix; keeps the state.

        Raises:
            ValueError: the weights have another shape.
        """
        assert isinstance(snapshot, MixedSnapshot)
        self._mix = snapshot.mix
        for reader, author in zip((self._first, self._second), snapshot.authors, strict=True):
            reader.adopt(author)

    def reset(self) -> None:
        """Sets both states to zero, a cold start."""
        self._first.reset()
        self._second.reset()

    @property
    def state(self) -> StepperState:
        """Both states, the first model's first; assigning one restores it."""
        return (*self._first.state, *self._second.state)

    @state.setter
    def state(self, state: StepperState) -> None:
        count = len(self._first.state)
        self._first.state, self._second.state = state[:count], state[count:]


class MixedStepper(_Mixture[_StreamReader]):
    """Steps one stream through two models; a `Stepper`."""

    def __init__(self, snapshot: WeightSnapshot) -> None:
        assert isinstance(snapshot, MixedSnapshot)
        first, second = (
            _StreamReader(author, network_stepper(author.snapshot)) for author in snapshot.authors
        )
        super().__init__(snapshot.mix, first, second)
        self._logits = (self._first.prime(()), self._second.prime(()))

    def prime(self, ids: Iterable[int]) -> FloatArray:
        """Reads united ids in turn; returns the mixed logits [U] after the last.

        Without ids the logits follow from the state as it is.
        """
        ids = list(ids)
        self._logits = (self._first.prime(ids), self._second.prime(ids))
        return mixed_logits(*self._logits, self._mix)

    def log_ratio(self, symbol_id: int) -> float:
        """Returns how much more likely the first model has the next character, in bits.

        That is ``log2(p_first / p_second)`` at temperature 1: inf if only the first model has the
        symbol, -inf if only the second has it.
        """
        first, second = (log_softmax(logits)[symbol_id] for logits in self._logits)
        return float(first - second) / math.log(2)

    def outputs(self) -> FloatArray:
        """Returns the output of each hidden unit of the first model, [L, H]."""
        return self._first.outputs()


class MixedBatchStepper(_Mixture[_BatchReader]):
    """Steps S streams through two models; a `CarryingBatchStepper`."""

    def __init__(self, snapshot: WeightSnapshot, streams: int) -> None:
        assert isinstance(snapshot, MixedSnapshot)
        first, second = (
            _BatchReader(author, network_batch_stepper(author.snapshot, streams))
            for author in snapshot.authors
        )
        super().__init__(snapshot.mix, first, second)

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Reads united ids [S] in turn; returns the mixed logits [U, S] after the last."""
        ids = list(ids)
        return mixed_logits(self._first.prime(ids), self._second.prime(ids), self._mix)


def numpy_stepper(snapshot: WeightSnapshot) -> Stepper:
    """Returns the stepper of one stream for these weights, of one model or of two."""
    mixes = isinstance(snapshot, MixedSnapshot)
    return MixedStepper(snapshot) if mixes else network_stepper(snapshot)


def numpy_batch_stepper(snapshot: WeightSnapshot, streams: int) -> CarryingBatchStepper:
    """Returns NumPy's stepper of many streams for these weights, of one model or of two."""
    mixes = isinstance(snapshot, MixedSnapshot)
    return (MixedBatchStepper if mixes else network_batch_stepper)(snapshot, streams)
