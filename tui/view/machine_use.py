"""Processor time and memory that the process uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """One reading."""

    cores: float | None
    """Processor seconds per second since the last reading; None for the first."""
    bytes: int | None
    """Resident memory, bytes; None if the system does not report it."""
