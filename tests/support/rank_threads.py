"""Two and more ranks of a training in threads of one process, so that a test need not start any."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

from patience import PATIENCE
from torch import distributed

from model.distributed.process_group import ProcessGroup
from model.distributed.rank import ProcessRank

Result = TypeVar("Result")


def in_ranks(
    size: int, work: Callable[[ProcessGroup], Result], *, seconds: float = PATIENCE
) -> list[Result]:
    """Returns what `work` returned in each of `size` ranks; an exchange that waits longer fails."""
    dist: Any = distributed  # its type stubs lack both names
    store = dist.HashStore()
    limit = timedelta(seconds=seconds)

    def in_rank(rank: int) -> Result:
        place = ProcessRank(rank=rank, size=size, local_rank=rank, local_size=size)
        return work(ProcessGroup(place, dist.ProcessGroupGloo(store, rank, size, limit)))

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(in_rank, range(size)))
