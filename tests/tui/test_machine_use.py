"""What the process takes of the machine."""

from __future__ import annotations

import numpy as np

from tui.machine_use import MachineMeter, MachineUse, resident_bytes
from tui.widgets.run_pane import machine_row


def test_cores_are_processor_seconds_a_second() -> None:
    clock, processor = iter([0.0, 2.0, 2.1, 4.0]), iter([10.0, 13.0, 13.1, 13.4])
    meter = MachineMeter(lambda: next(clock), lambda: next(processor))
    readings = [meter.read().cores for _ in range(4)]
    assert readings[:3] == [None, 1.5, 1.5], "two readings at once share a figure"
    assert readings[3] is not None
    assert abs(readings[3] - 0.2) < 1e-9


def test_memory_follows_what_is_taken() -> None:
    before = resident_bytes()
    if before is None:
        return
    taken = np.ones(20_000_000)
    after = resident_bytes()
    assert after is not None
    assert after - before > 0.8 * taken.nbytes


def test_what_is_not_known_is_a_dash() -> None:
    row = machine_row(MachineUse(cores=None, bytes=None))
    assert "".join(text for text, _ in row).split() == ["machine", "-", "cores,", "-", "MB"]
