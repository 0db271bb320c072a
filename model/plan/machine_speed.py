"""How fast this machine trains networks of several sizes, kept in the cache folder. No torch.

A file is valid for one version of the program on one kind of processor, with the same cores,
device and precision. What it says is forgotten if a training turns out much faster or slower.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from corpus import Vocabulary
from corpus.files.atomic_file import create_temporary, discard_temporary, put_in_place
from corpus.files.cache_folder import cache_folders
from corpus.files.removal import remove_file
from model.config import NETWORKS, NetworkKind, TrainingConfig
from model.system.cores import usable_cores
from model.system.processor import processor_kind
from model.system.versions import version_of

FOLDER: Final = "speeds"
"""Name of the folder of measured speeds in the cache folder."""
SPEED_FILES: Final = re.compile(r"[0-9a-f]{32}\.json")
"""Names of the files in it."""
MAX_ERROR: Final = 1.3
"""A training that is faster or slower than expected by this factor makes the speeds forgotten."""
_CARD: Final = Path("/dev/nvidia0")


@dataclass(frozen=True, slots=True)
class MachineSpeed:
    """Measured training speeds."""

    rates: Mapping[int, float]
    """Characters per second of one layer by the H of an LSTM of equal cost; at least one."""
    doubled_batch: float = 1.0
    """Factor of the rate of the largest size with twice the usual streams in a batch."""
    network: NetworkKind = "lstm"
    """What was measured: the user's network, or else the one that suits the machine."""

    def at(self, hidden: int, layers: int = 1) -> float:
        """Returns the expected characters per second for a size.

        Between two measured sizes the logarithm of the rate is interpolated over that of H; beyond
        them the rate falls with the square of H. A further layer has twice the work of the first.
        """
        sizes = sorted(self.rates)
        least, most = sizes[0], sizes[-1]
        if hidden >= most:
            rate = self.rates[most] * (most / hidden) ** 2
        elif hidden <= least:
            rate = self.rates[least]
        else:
            above = next(size for size in sizes if size >= hidden)
            below = sizes[sizes.index(above) - 1]
            part = math.log(hidden / below) / math.log(above / below)
            rate = self.rates[below] * (self.rates[above] / self.rates[below]) ** part
        return rate / (2 * layers - 1)


class MeasureSpeed(Protocol):
    """Measures, for a kind of network, the settings of a training and its vocabulary."""

    def __call__(
        self, training: TrainingConfig, vocabulary: Vocabulary, *, network: NetworkKind | None
    ) -> MachineSpeed:
        """Returns the speeds of this machine; without a network, of the one that suits it."""


def remembered_speed(
    training: TrainingConfig, processes: int = 1, network: NetworkKind | None = None
) -> MachineSpeed | None:
    """Returns what was measured on this machine before; None if nothing was."""
    for folder in cache_folders(usual=True):
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
            record = json.loads(
                (folder / FOLDER / _name(training, processes, network)).read_bytes()
            )
            measured, doubled_batch = record.pop("network"), float(record.pop("doubled_batch"))
            rates = {int(size): float(rate) for size, rate in record.items()}
            numbers = (doubled_batch, *rates.values())
            is_sane = all(math.isfinite(number) and number > 0 for number in numbers)
            if rates and is_sane and measured in NETWORKS:
                return MachineSpeed(rates, doubled_batch, measured)
    return None


def remember_speed(
    speed: MachineSpeed,
    training: TrainingConfig,
    processes: int = 1,
    network: NetworkKind | None = None,
) -> None:
    """Keeps a measurement in the first cache folder that allows it."""
    record = {str(size): round(rate, 1) for size, rate in speed.rates.items()}
    others = {"doubled_batch": round(speed.doubled_batch, 3), "network": speed.network}
    text = json.dumps(record | others)
    for folder in cache_folders(usual=True):
        with contextlib.suppress(OSError):
            (folder / FOLDER).mkdir(parents=True, exist_ok=True)
            temporary, file = create_temporary(folder / FOLDER)
            try:
                with file:
                    file.write(text.encode("ascii"))
                put_in_place(temporary, folder / FOLDER / _name(training, processes, network))
            finally:
                discard_temporary(temporary)
            return


def forget_wrong_speed(
    expected: float | None,
    actual: float,
    training: TrainingConfig,
    processes: int = 1,
    network: NetworkKind = "lstm",
) -> bool:
    """Forgets what was measured if a training had a very different speed; returns whether.

    Both speeds are characters per second, the expected one None if the plan counted on none. The
    network is the training's; whether the user chose it does not matter.
    """
    if expected is None or not actual > 0 or 1 / MAX_ERROR <= actual / expected <= MAX_ERROR:
        return False
    for folder in cache_folders(usual=True):
        for chosen in (network, None):
            with contextlib.suppress(OSError):
                remove_file(folder / FOLDER / _name(training, processes, chosen), SPEED_FILES)
    return True


def _name(training: TrainingConfig, processes: int, network: NetworkKind | None) -> str:
    """Returns the name of the file of this machine, these settings and the user's network."""
    depends_on = (
        version_of("charlm-tui"),
        processor_kind(),
        usable_cores(),
        os.environ.get("CHARLM_SIMD", ""),
        _CARD.exists(),
        os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        training.device,
        training.precision,
        training.threads,
        processes,
        network,
    )
    return hashlib.sha256(repr(depends_on).encode()).hexdigest()[:32] + ".json"
