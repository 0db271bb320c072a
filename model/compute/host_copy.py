"""Copies of tensors on their way from a device to the program, for which the device need not stop.

On CUDA the tensors are first copied on the device, in the queue of the work at hand, so that what
comes next may overwrite them; a second queue then brings the copies over while training goes on.
On a CPU, and on MPS, a copy is there at once. PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

_side_queues: dict[torch.device, Any] = {}


class HostCopy:
    """What some tensors were when it was made."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes tensors of one device."""
        device = next(iter(tensors.values())).device
        queues = device.type == "cuda"
        kind: Any = torch.get_device_module(device) if queues else torch.cpu
        frozen = {
            name: tensor.detach().clone() if queues else tensor.detach()
            for name, tensor in tensors.items()
        }
        if device not in _side_queues:
            _side_queues[device] = kind.Stream()
        side = _side_queues[device]
        side.wait_stream(kind.current_stream())
        self._copies: dict[str, Tensor] = {}
        with kind.stream(side):
            for name, tensor in frozen.items():
                if queues:
                    tensor.record_stream(side)
                host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=queues)
                self._copies[name] = host.copy_(tensor, non_blocking=queues)
        self._arrived = side.record_event()

    @property
    def ready(self) -> bool:
        """Whether the copies are there, so that `arrays` need not wait."""
        return self._arrived is None or bool(self._arrived.query())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Returns the copies, which nobody else writes to; waits until they are there."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return {name: copy.numpy() for name, copy in self._copies.items()}
