"""Giving memory back that a mapped text takes: pages that were read stay counted until then.

They stay in the system's own cache of files, so reading them again is cheap.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def release_pages(ids: NDArray[Any]) -> None:
    """Lets go of the pages of ids that are a memory map, or a part of one; else does nothing.

    Safe while others read the same ids: what they need comes back by itself.
    """
    mapped = getattr(ids, "_mmap", None)
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if isinstance(mapped, mmap.mmap) and advice is not None:
        mapped.madvise(advice)
