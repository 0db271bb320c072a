"""What the process takes of the machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from app_opened import opened
from app_script import on_a_loop, training

from model.events import AcceleratorMeasured
from tui.app.process_meter import MachineMeter, resident_bytes
from tui.view.state import MachineUse
from tui.widgets.run_pane import accelerator_row, machine_row


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


GPU = AcceleratorMeasured(
    device="Fast \x1b[2J Card 9", bytes=2_100_000_000, bytes_total=85_000_000_000, busy=0.75
)


def test_a_gpu_has_a_row_and_its_name_where_there_is_room() -> None:
    def text(use: AcceleratorMeasured, width: int) -> str:
        return "".join(part for part, _ in accelerator_row(use, width)).rstrip()

    assert text(GPU, 28) == "GPU       75%, 2.1 of 85.0 GB"
    assert text(GPU, 50).startswith("GPU       75%, 2.1 of 85.0 GB  Fast ␛[2J Card")
    assert text(replace(GPU, busy=None, bytes_total=0), 24) == "GPU       2.1 GB"


@on_a_loop
async def test_the_run_pane_has_a_gpu_only_where_there_is_one() -> None:
    async with opened(*training()) as it:
        it.app.draw_figures()
        assert "GPU" not in it.app.main_screen.run_pane.plain
        await it.say(GPU)
        it.app.draw_figures()
        assert "GPU       75%, 2.1 of 85.0 GB" in it.app.main_screen.run_pane.plain
