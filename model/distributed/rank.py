"""Which of several processes this one is, as ``torchrun`` tells it in the environment. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRank:
    """A process among those that train one model together."""

    rank: int = 0
    """Its number among all; the first, 0, leads: it alone writes the run and prints."""
    size: int = 1
    """How many there are."""
    local_rank: int = 0
    """Its number among those of this machine."""
    local_size: int = 1
    """How many of them are on this machine and share its cores."""

    @property
    def leads(self) -> bool:
        """Whether it is the first."""
        return self.rank == 0

    def share(self, streams: int) -> slice:
        """Returns which of the streams of a batch are this process's: as even parts as can be."""
        return slice(streams * self.rank // self.size, streams * (self.rank + 1) // self.size)


def rank_from_environment(environment: Mapping[str, str]) -> ProcessRank:
    """Returns the place that RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE tell.

    Without the first two the process is alone; without the others all are on one machine.

    Raises:
        ConfigError: they contradict each other.
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
        f"{what} in the environment numbers no process",
        "start the processes with torchrun, or unset RANK and WORLD_SIZE",
    )
