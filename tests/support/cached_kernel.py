"""A small kernel and its entry in the cache, and a script that flips bytes of that entry.

Arguments of the script: how many bytes of the compiled code to flip. It prints how many flips were
found and mended, and of how many. The entry lies in `$NUMBA_CACHE_DIR`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import forked
import numpy as np
import numpy.typing as npt

from model.kernels.jit import Kernel

Floats = npt.NDArray[np.float32]

FLIPS_OF_A_CHILD = 36
DIGESTS = 2 * hashlib.sha256().digest_size
"""Bytes of an entry before its compiled code: its own digest, and that of what it depends on."""


def make_stepper() -> Kernel:
    """Returns a kernel that this process has not loaded yet."""

    def double(numbers: Floats) -> None:
        for j in range(len(numbers)):
            numbers[j] += numbers[j]

    return Kernel(double)


def was_compiled(kernel: Kernel) -> bool:
    """Whether it was not loaded from the disk; it must double either way."""
    numbers = np.ones(5, np.float32)
    kernel.run(numbers)
    assert (numbers == 2).all()
    return not kernel.run.stats.cache_hits  # type: ignore[attr-defined]


def entry_in(folder: Path) -> Path:
    """Returns the one file of a folder."""
    (path,) = folder.iterdir()
    return path


def flip(entry: Path, whole: bytes, places: Sequence[int], tell: Callable[[str], None]) -> None:
    """Flips a bit at each place; the kernel must be compiled again and kept."""
    for place in places:
        entry.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        assert was_compiled(make_stepper())
        assert not was_compiled(make_stepper()), "it was replaced"
        tell(str(place))


def main() -> None:
    """Children flip, for what is loaded with a flipped byte may end the process."""
    assert was_compiled(make_stepper())
    entry = entry_in(Path(os.environ["NUMBA_CACHE_DIR"]) / "charlm-tui")
    whole = entry.read_bytes()
    code = np.linspace(DIGESTS, len(whole) - 1, int(sys.argv[1])).astype(int)
    places = [*range(0, DIGESTS, 6), *code]
    mended = 0
    for first in range(0, len(places), FLIPS_OF_A_CHILD):
        some = places[first : first + FLIPS_OF_A_CHILD]
        mended += len(forked.finish(partial(flip, entry, whole, some)))
    print(mended, len(places))


if __name__ == "__main__":
    main()
