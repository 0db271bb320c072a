"""What the process takes of the machine, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """One reading."""

    cores: float | None
    """Processor time for each second since the reading before; None for the first."""
    bytes: int | None
    """Resident memory; None where the system does not say."""
