"""Releases the memory of a mapped text. Until then, its pages count as memory of this process.

The pages stay in the system's page cache, so reading them again is cheap.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def release_pages(ids: NDArray[Any]) -> None:
    """Releases the pages of ids that are (a part of) a memory map; otherwise does nothing.

    This is safe while other threads read the ids: the system loads the pages again.
    """
    mapped = getattr(ids, "_mmap", None)
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if isinstance(mapped, mmap.mmap) and advice is not None:
        mapped.madvise(advice)
