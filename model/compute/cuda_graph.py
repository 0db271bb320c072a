"""Work on a device that is recorded once and from then on started as one. PyTorch.

An LSTM's step is some thousand kernels of microseconds each, and a program takes longer to start
them one by one than a card to compute them: an H100 was idle for two thirds of the time. CUDA can
record them as a graph (`torch.cuda.CUDAGraph`) and start that. Where nothing can be recorded the
work is done anew each time and its results are put where the first ones were, so that a test on a
CPU goes the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

Work = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Computes results from operands, without looking at a number, and changes nothing else."""

WARM_UPS = 3
"""Runs before the one that is recorded: libraries choose kernels and take memory in the first."""


class GraphRunner:
    """Does the same work again and again, on operands of the same shapes.

    What comes twice in a row is recorded, so that a shorter batch at the end of an epoch, done as
    it comes, leaves the recording of all the others alone.
    """

    def __init__(self, device: torch.device) -> None:
        """Records nothing yet."""
        self._device = device
        self._possible = True
        self._last: Hashable = None
        self._recorded: Hashable = None
        self._operands: list[Tensor] = []
        self._results: Sequence[Tensor] = ()
        self._again: Callable[[], object] = lambda: None

    def __call__(self, work: Work, operands: Sequence[Tensor], key: Hashable) -> Sequence[Tensor]:
        """Returns the results; the next call may overwrite them.

        Args:
            work: what is done. What it uses beside its operands (weights) is read where it lies.
            operands: copied to where the recorded work reads them.
            key: stands for all numbers that the work takes from elsewhere.
        """
        if not self._possible:
            return work(operands)
        kind = (key, *((operand.shape, operand.dtype) for operand in operands))
        comes_again, self._last = kind == self._last, kind
        if kind != self._recorded:
            if not comes_again or not self._record(work, operands):
                return work(operands)
            self._recorded = kind
        torch._foreach_copy_(self._operands, list(operands))
        self._again()
        return self._results

    def _record(self, work: Work, operands: Sequence[Tensor]) -> bool:
        """Tells whether that could be done; where it could not, it is not tried again."""
        # A recording holds on to its memory: the one before must be gone first.
        self._recorded, self._results, self._again = None, (), lambda: None
        self._operands = [operand.clone() for operand in operands]
        try:
            if self._device.type == "cuda":
                self._record_graph(work)
            else:
                self._results = [result.clone() for result in work(self._operands)]
                self._again = self._do_again(work)
        except RuntimeError:  # no memory for it, or kernels that cannot be recorded
            self._possible = False
            self._operands = []
        return self._possible

    def _record_graph(self, work: Work) -> None:
        cuda: Any = torch.cuda
        here, side = cuda.current_stream(), cuda.Stream()
        side.wait_stream(here)
        with cuda.stream(side):
            for _ in range(WARM_UPS):
                work(self._operands)
        here.wait_stream(side)
        graph = cuda.CUDAGraph()
        # Only what this thread does counts: others may use the card meanwhile.
        with cuda.graph(graph, capture_error_mode="thread_local"):
            self._results = work(self._operands)
        self._again = graph.replay

    def _do_again(self, work: Work) -> Callable[[], object]:
        operands, results = self._operands, list(self._results)
        return lambda: torch._foreach_copy_(results, list(work(operands)))
