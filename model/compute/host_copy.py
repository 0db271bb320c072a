"""Asynchronous copies of tensors from a device to the host. PyTorch.

On CUDA the tensors are first copied on the device, in the current stream, so that later work may
overwrite them. A second stream then transfers these copies to the host while training continues.
On a CPU and on MPS the copy is synchronous.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

_side_queues: dict[torch.device, Any] = {}


class HostCopy:
    """A copy on the host of the values that tensors had when it was created."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """Starts the copy of ``tensors``, which are all on one device."""
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
        """Whether the copy is complete, so that `arrays` returns without waiting."""
        return self._arrived is None or bool(self._arrived.query())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Waits until the copy is complete and returns it; the caller owns the arrays."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return {name: copy.numpy() for name, copy in self._copies.items()}
