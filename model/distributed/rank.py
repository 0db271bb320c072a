"""Rank of this process among several, from the environment that ``torchrun`` sets. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRank:
    """Rank of one process among those that train one model together."""

    rank: int = 0
    """Rank among all processes. Rank 0 is the leader: only it writes the run and prints."""
    size: int = 1
    """Number of all processes."""
    local_rank: int = 0
    """Rank among the processes of this machine."""
    local_size: int = 1
    """Number of processes on this machine, which share its cores."""

    @property
    def leads(self) -> bool:
        """Whether this process is the leader."""
        return self.rank == 0

    def share(self, streams: int) -> slice:
        """Returns the range of a batch's streams for this process; the ranges are nearly equal."""
        return slice(streams * self.rank // self.size, streams * (self.rank + 1) // self.size)


def rank_from_environment(environment: Mapping[str, str]) -> ProcessRank:
    """Reads the rank from RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE.

    Without RANK or WORLD_SIZE, the training has one process. Without LOCAL_RANK or
    LOCAL_WORLD_SIZE, all processes are on one machine.

    Raises:
        ConfigError: the variables contradict each other, or one is not a number.
    """
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return ProcessRank()
    size = _number("WORLD_SIZE", environment)
    rank = _number("RANK", environment)
    local = "LOCAL_RANK" in environment and "LOCAL_WORLD_SIZE" in environment
    place = ProcessRank(
        rank=rank,
        size=size,
        local_rank=_number("LOCAL_RANK", environment) if local else rank,
        local_size=_number("LOCAL_WORLD_SIZE", environment) if local else size,
    )
    if not (place.rank < place.size and place.local_rank < place.local_size <= place.size):
        raise _nonsense("RANK", f"{place.rank} of WORLD_SIZE {place.size}")
    return place


def _number(name: str, environment: Mapping[str, str]) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdigit()):
        raise _nonsense(name, repr(text))
    return int(text)


def _nonsense(name: str, what: str) -> ConfigError:
    return ConfigError(
        name,
        f"{what} in the environment is not the number of a process",
        "start the processes with torchrun, or unset RANK and WORLD_SIZE",
    )
