"""When a step's gradient is judged and applied: at once, or one step later. PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from model.compute.host_copy import HostCopy
from model.training.divergence_guard import DivergenceGuard, Verdict
from model.training.weights import TrainedWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """The figures of one step and the verdict on it."""

    loss: float
    """Nats per character of the batch, before the update."""
    gradient_norm: float
    """Global L2 norm of the gradient, before clipping."""
    learning_rate: float
    characters: int
    """Characters read."""
    verdict: Verdict
    step: int
    """Number of the step, counted from 1. With `DeferredUpdate` it is the step before the last."""
    epoch: int
    """Epoch of the step, counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures:
    """The figures of one step, whose numbers may still be on their way from the device."""

    step: int
    epoch: int
    learning_rate: float
    characters: int
    on_device: Tensor
    """float32 [2]: the loss and the gradient norm, which the device may still compute."""
    on_host: HostCopy
    """The same two numbers under the name ``figures``."""

    def judged_by(self, guard: DivergenceGuard) -> StepResult:
        """Waits for the numbers and returns them with the guard's verdict."""
        loss, norm = self.on_host.arrays()["figures"].tolist()
        return self.result(loss, norm, guard.judge(loss, norm))

    def result(self, loss: float, norm: float, verdict: Verdict) -> StepResult:
        """Returns the figures as a result."""
        return StepResult(
            loss=loss,
            gradient_norm=norm,
            learning_rate=self.learning_rate,
            characters=self.characters,
            verdict=verdict,
            step=self.step,
            epoch=self.epoch,
        )


OnVerdict = Callable[[StepResult], None]
"""Carries out a verdict; an update calls it exactly once for each step."""


class Update(Protocol):
    """A policy that decides when a gradient is judged and when it changes the weights."""

    def apply(self, figures: StepFigures) -> StepResult:
        """Finishes a step whose gradient is set and clipped; returns the newest known result."""
        ...

    def flush(self) -> None:
        """Judges a step that is applied but not judged."""
        ...

    def discard(self) -> None:
        """Forgets a step that is applied but not judged, because its weights are gone."""
        ...


class ImmediateUpdate:
    """Judges each step first, and changes the weights only if the verdict is `Verdict.APPLY`."""

    def __init__(
        self,
        weights: TrainedWeights,
        guard: DivergenceGuard,
        on_verdict: OnVerdict,
        *,
        checks_weights: bool,
    ) -> None:
        """Keeps its collaborators.

        Args:
            weights: are changed.
            guard: judges.
            on_verdict: carries out each verdict.
            checks_weights: whether to reject weights that an update made non-finite. Several
                processes must not, because each must reach the same verdict. They see such
                weights in the next loss, which is the mean over all of them.
        """
        self._weights = weights
        self._guard = guard
        self._on_verdict = on_verdict
        self._checks_weights = checks_weights

    def apply(self, figures: StepFigures) -> StepResult:
        """Judges the step, applies it if allowed, and returns its result."""
        result = figures.judged_by(self._guard)
        verdict = self._updated(result.verdict)
        if verdict is not result.verdict:
            result = figures.result(result.loss, result.gradient_norm, verdict)
        self._on_verdict(result)
        return result

    def _updated(self, verdict: Verdict) -> Verdict:
        """Updates the weights if the verdict allows it; returns the verdict on the new weights."""
        weights = self._weights
        if verdict is Verdict.APPLY:
            weights.optimiser.step()
        checked = self._checks_weights and verdict in {Verdict.APPLY, Verdict.SKIP}
        if checked and not weights.are_finite():
            verdict = self._guard.reject_weights("the weights are not finite")
        if verdict is Verdict.APPLY:
            weights.update_average()
        weights.step_count += 1
        return verdict

    def flush(self) -> None:
        """Does nothing: each step is judged at once."""

    def discard(self) -> None:
        """Does nothing: each step is judged at once."""


class DeferredUpdate:
    """Applies each step without waiting for the device, and judges it one step later.

    The optimiser itself skips a step that is not finite, because the device tells it
    (``found_inf``). The first step is judged at once, and its result is returned twice.
    """

    def __init__(
        self, weights: TrainedWeights, guard: DivergenceGuard, on_verdict: OnVerdict
    ) -> None:
        """Keeps its collaborators.

        Args:
            weights: are changed; their optimiser must honour ``found_inf``, as AdamW does.
            guard: judges.
            on_verdict: carries out each verdict.
        """
        self._weights = weights
        self._guard = guard
        self._on_verdict = on_verdict
        self._pending: StepFigures | None = None
        self._judged: StepResult | None = None
        """Result of the pending step once it is judged."""

    def apply(self, figures: StepFigures) -> StepResult:
        """Applies the step and returns the result of the step before it."""
        weights = self._weights
        weights.optimiser.step((~torch.isfinite(figures.on_device.sum())).float())
        weights.update_average()
        weights.step_count += 1
        if self._pending is None:
            self._pending = figures
            return self._judge(figures)
        before, result = self._pending, self._judged
        self._pending, self._judged = figures, None
        return result or self._judge(before)

    def flush(self) -> None:
        """Judges the last step, unless that was done."""
        if self._pending is not None and self._judged is None:
            self._judge(self._pending)

    def discard(self) -> None:
        """Forgets the last step, whose weights are gone."""
        self._pending = self._judged = None

    def _judge(self, figures: StepFigures) -> StepResult:
        """Judges a step once, waiting for its figures."""
        result = figures.judged_by(self._guard)
        if figures is self._pending:
            self._judged = result
        self._on_verdict(result)
        return result
