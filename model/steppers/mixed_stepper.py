"""Steps two models through one text. NumPy.

Each model reads the characters that it knows. One that it lacks is left out of its input: its state
stays as it was, as if the character had not been written. Letters: S streams, U united symbols.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import numpy as np

from model.network.snapshot import FloatArray, WeightSnapshot
from model.steppers.mixture import NOT_KNOWN, Author, MixedSnapshot, log_softmax, mixed_logits
from model.steppers.network_steppers import network_batch_stepper, network_stepper
from model.steppers.stepper import CarryingBatchStepper, Stepper, StepperState, Symbols


class _Reader:
    """One model of a mixture, which reads one stream of united ids."""

    def __init__(self, author: Author) -> None:
        self._author = author
        self._stepper = network_stepper(author.snapshot)
        self._recent: deque[int] = deque(maxlen=author.window or 1)

    def adopt(self, author: Author) -> None:
        self._stepper.adopt(author.snapshot)
        self._author = author

    def reset(self) -> None:
        self._stepper.reset()
        self._recent.clear()

    def prime(self, ids: Iterable[int]) -> FloatArray:
        """Reads united ids; returns the united logits [U] after the last."""
        self._recent.extend(ids := list(ids))
        if self._author.window is not None:
            self._stepper.reset()
            ids = list(self._recent)
        own = (int(self._author.own_ids[symbol_id]) for symbol_id in ids)
        logits = self._stepper.prime(symbol_id for symbol_id in own if symbol_id != NOT_KNOWN)
        return self._author.united_logits(logits)

    @property
    def state(self) -> StepperState:
        """A copy of the stepper's state, or of the ids in the window."""
        if self._author.window is None:
            return self._stepper.state
        return (np.array(self._recent, np.float32),)  # exact: ids are below 2 to the 24th

    @state.setter
    def state(self, state: StepperState) -> None:
        if self._author.window is None:
            self._stepper.state = state
        else:
            self._recent = deque(map(int, state[0]), maxlen=self._author.window)

    def outputs(self) -> FloatArray:
        return self._stepper.outputs()


class MixedStepper:
    """Steps one stream through two models; a `Stepper`."""

    def __init__(self, snapshot: WeightSnapshot) -> None:
        assert isinstance(snapshot, MixedSnapshot)
        self._mix = snapshot.mix
        self._first, self._second = map(_Reader, snapshot.authors)
        self._logits = (self._first.prime(()), self._second.prime(()))

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

    @property
    def state(self) -> StepperState:
        """A copy of both states, the first model's first; assigning one restores it."""
        return (*self._first.state, *self._second.state)

    @state.setter
    def state(self, state: StepperState) -> None:
        count = len(self._first.state)
        self._first.state, self._second.state = state[:count], state[count:]

    def outputs(self) -> FloatArray:
        """Returns the output of each hidden unit of the first model, [L, H]."""
        return self._first.outputs()


class _BatchReader:
    """One model of a mixture, which reads S streams of united ids side by side."""

    def __init__(self, author: Author, streams: int) -> None:
        self._author = author
        self._stepper = network_batch_stepper(author.snapshot, streams)
        self._recent: deque[Symbols] = deque(maxlen=author.window or 1)

    def adopt(self, author: Author) -> None:
        self._stepper.adopt(author.snapshot)
        self._author = author

    def reset(self) -> None:
        self._stepper.reset()
        self._recent.clear()

    @property
    def state(self) -> StepperState:
        """The state of S streams, or the ids [W, S] in the window."""
        if self._author.window is None:
            return self._stepper.state
        return (np.array(self._recent, np.float32),)  # exact: ids are below 2 to the 24th

    @state.setter
    def state(self, state: StepperState) -> None:
        if self._author.window is None:
            self._stepper.state = state
        else:
            rows = state[0].astype(np.intp)
            self._recent = deque(rows, maxlen=self._author.window)

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Reads united ids [S] in turn; returns the united logits [U, S] after the last."""
        self._recent.extend(ids := list(ids))
        if self._author.window is not None:
            self._stepper.reset()
            ids = list(self._recent)
        for symbols in ids:
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


class MixedBatchStepper:
    """Steps S streams through two models; a `BatchStepper`."""

    def __init__(self, snapshot: WeightSnapshot, streams: int) -> None:
        assert isinstance(snapshot, MixedSnapshot)
        self._mix = snapshot.mix
        self._readers = [_BatchReader(author, streams) for author in snapshot.authors]

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape, and the mix; keeps the state."""
        assert isinstance(snapshot, MixedSnapshot)
        self._mix = snapshot.mix
        for reader, author in zip(self._readers, snapshot.authors, strict=True):
            reader.adopt(author)

    def reset(self) -> None:
        """Sets every state to zero, a cold start."""
        for reader in self._readers:
            reader.reset()

    @property
    def state(self) -> StepperState:
        """The states of both models, S in the last dimension; assigning one restores it."""
        return tuple(part for reader in self._readers for part in reader.state)

    @state.setter
    def state(self, state: StepperState) -> None:
        first, second = self._readers
        count = len(first.state)
        first.state, second.state = state[:count], state[count:]

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Reads united ids [S] in turn; returns the mixed logits [U, S] after the last."""
        ids = list(ids)
        first, second = (reader.prime(ids) for reader in self._readers)
        return mixed_logits(first, second, self._mix)


def numpy_stepper(snapshot: WeightSnapshot) -> Stepper:
    """Returns the stepper of one stream for these weights, of one model or of two."""
    mixes = isinstance(snapshot, MixedSnapshot)
    return MixedStepper(snapshot) if mixes else network_stepper(snapshot)


def numpy_batch_stepper(snapshot: WeightSnapshot, streams: int) -> CarryingBatchStepper:
    """Returns NumPy's stepper of many streams for these weights, of one model or of two."""
    mixes = isinstance(snapshot, MixedSnapshot)
    return (MixedBatchStepper if mixes else network_batch_stepper)(snapshot, streams)
