"""Setting up a thread that computes with PyTorch."""

from __future__ import annotations

import torch


def prepare_thread(threads: int) -> None:
    """Sets up the calling thread for computing; call it before its first tensor operation."""
    torch.set_num_threads(threads)
    # Denormal numbers make an LSTM on a CPU up to twenty times slower.
    torch.set_flush_denormal(True)
