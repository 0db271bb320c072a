"""Puts a batch's characters on the device. PyTorch.

If the text fits, it is kept on the device and batches are gathered there. Otherwise each batch is
copied from the host. Letters: T time, B batch, N characters of the text, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.compute.device import Machine
from model.data.batches import Batch, Ids

SHARE_OF_FREE_MEMORY = 0.25
"""Maximum share of the device's free memory for a text."""
MAX_TEXT_BYTES = 2**30
"""Maximum bytes of a text on a device that does not report its free memory."""
CHARACTERS_PER_COPY = 2**26
"""Characters copied at a time, so that a mapped file is never in memory as a whole."""


class DeviceBatches:
    """Reads batches of a text, which it keeps on the device if the text fits there."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ids: Ids | None = None
        self._text: Tensor | None = None
        self.soft_targets: Tensor | None = None
        """Probabilities to learn instead of the text's next characters, float16 [N - 1, V]."""

    def read(self, batch: Batch, streams: slice) -> tuple[Tensor, Tensor]:
        """Returns inputs, int64 [T, B], and targets of some of a batch's streams.

        Targets are int64 [T, B], or float32 [T, B, V] if there are soft ones; without T if only the
        last position is scored.
        """
        inputs, targets = self._characters(batch, streams)
        if self.soft_targets is not None:
            steps = np.arange(batch.sequence)[:, None]
            places = batch.starts[None, streams] + (steps[-1] if batch.last_only else steps)
            targets = self.soft_targets[self._machine.take(places)].float()
            targets = targets[0] if batch.last_only else targets
        return inputs, targets

    def _characters(self, batch: Batch, streams: slice) -> tuple[Tensor, Tensor]:
        """Returns int64 inputs [T, B] and targets [T, B] or [B] of some of a batch's streams."""
        if self._machine.holds_text and self._ids is not batch.ids:
            self._ids = batch.ids
            self._text = self._on_device(batch.ids)
        if self._text is None:
            return (
                self._machine.take(np.ascontiguousarray(batch.inputs[:, streams])),
                self._machine.take(np.ascontiguousarray(batch.targets[..., streams])),
            )
        starts = self._machine.take(batch.starts[streams].astype(np.int64))
        steps = torch.arange(batch.sequence + 1, device=self._machine.device)
        block = self._text[starts[None, :] + steps[:, None]].long()
        return block[:-1], block[-1] if batch.last_only else block[1:]

    def _on_device(self, ids: Ids) -> Tensor | None:
        """Returns the text on the device as uint8 or int32, or None if it is too long.

        The ids of a text never change, so the copy stays valid.
        """
        kind: npt.DTypeLike = np.uint8 if ids.dtype == np.uint8 else np.int32
        if len(ids) * np.dtype(kind).itemsize > self._room():
            return None
        parts = [
            self._machine.take(np.array(ids[first : first + CHARACTERS_PER_COPY], dtype=kind))
            for first in range(0, len(ids), CHARACTERS_PER_COPY)
        ]
        return torch.cat(parts)

    def _room(self) -> float:
        device = self._machine.device
        if device.type == "cuda":
            return SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0]
        return MAX_TEXT_BYTES
