"""Work on a device that is recorded once as a CUDA graph and then replayed. PyTorch.

A step of an LSTM is some thousand kernels of a few microseconds each. To launch them one by one
takes longer than to run them: an H100 was idle for two thirds of the time. A CUDA graph
(`torch.cuda.CUDAGraph`) launches all of them at once. On other devices each call repeats the work
and copies its results into the first call's buffers. A CPU test thus takes the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

Work = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Computes results from operands. It copies no value to the host and has no other effect."""

WARM_UPS = 3
"""Runs before the recorded one: libraries choose kernels and allocate memory in the first runs."""


class GraphRunner:
    """Repeats the same work on operands of the same shapes.

    Work is recorded when it comes twice in a row. A shorter batch at the end of an epoch thus runs
    without a graph and leaves the recorded graph in place.
    """

    def __init__(self, device: torch.device) -> None:
        """Creates a runner for ``device``; recording starts with the calls."""
        self._device = device
        self._possible = True
        self._last: Hashable = None
        self._recorded: Hashable = None
        self._operands: list[Tensor] = []
        self._results: Sequence[Tensor] = ()
        self._again: Callable[[], object] = lambda: None

    def __call__(self, work: Work, operands: Sequence[Tensor], key: Hashable) -> Sequence[Tensor]:
        """Returns the results of ``work``; the next call may overwrite them.

        Args:
            work: computes the results. It reads tensors other than its operands (weights) in place.
            operands: are copied into the buffers that the recorded work reads.
            key: identifies every value that the work takes from outside its operands.
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
        """Records the work and returns whether that succeeded; after a failure, never retries."""
        # A recording keeps its memory, so free the previous one first.
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
        # Other threads may use the GPU during the recording; only this thread's calls are checked.
        with cuda.graph(graph, capture_error_mode="thread_local"):
            self._results = work(self._operands)
        self._again = graph.replay

    def _do_again(self, work: Work) -> Callable[[], object]:
        operands, results = self._operands, list(self._results)
        return lambda: torch._foreach_copy_(results, list(work(operands)))
