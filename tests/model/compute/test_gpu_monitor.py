"""What a training takes of a GPU; there is none here, so PyTorch's module for it is a fake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from model_fixtures import make_request

from model.compute.gpu_monitor import GpuMonitor
from model.events import AcceleratorMeasured
from model.runs.folder import RunFolder
from model.training import training_run
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

MEASURED = AcceleratorMeasured(
    device="Fast Card 9", bytes=2_000_000_000, bytes_total=8_000_000_000, busy=0.75
)


class Cuda:
    """As much of ``torch.cuda`` as is asked for."""

    def __init__(self, busy: Exception | int = 75) -> None:
        self.busy = busy
        self.asked = 0

    def get_device_name(self, device: torch.device) -> str:
        return "Fast Card 9"

    def memory_reserved(self, device: torch.device) -> int:
        return 2_000_000_000

    def mem_get_info(self, device: torch.device) -> tuple[int, int]:
        return 5_000_000_000, 8_000_000_000

    def utilization(self, device: torch.device) -> int:
        self.asked += 1
        if isinstance(self.busy, Exception):
            raise self.busy
        return self.busy


def meter(backend: Any, times: list[float], device: str = "cuda") -> GpuMonitor:
    return GpuMonitor(torch.device(device), lambda: times.pop(0), backend=backend)


def test_a_gpu_is_measured_once_a_second() -> None:
    found = meter(Cuda(), [0.0, 0.5, 1.0])
    assert [found.read() for _ in range(3)] == [MEASURED, None, MEASURED]


@pytest.mark.parametrize("error", [ModuleNotFoundError("pynvml"), RuntimeError("no driver")])
def test_busyness_that_nobody_tells_is_asked_for_once(error: Exception) -> None:
    cuda = Cuda(error)
    found = meter(cuda, [0.0, 2.0])
    for _ in range(2):
        read = found.read()
        assert read is not None
        assert read.busy is None
        assert read.bytes == 2_000_000_000
    assert cuda.asked == 1


def test_a_backend_that_breaks_is_left_alone() -> None:
    found = meter(object(), [0.0, 2.0])
    assert found.read() is None
    assert found.read() is None


def test_apples_gpu_tells_its_memory() -> None:
    class Mps:
        def driver_allocated_memory(self) -> int:
            return 7

        def recommended_max_memory(self) -> int:
            return 9

    assert meter(Mps(), [0.0], "mps").read() == AcceleratorMeasured(
        device="mps", bytes=7, bytes_total=9, busy=None
    )


def test_a_cpu_says_nothing() -> None:
    assert GpuMonitor(torch.device("cpu"), lambda: 0.0).read() is None


def test_a_training_tells_and_its_file_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fake(GpuMonitor):
        def read(self) -> AcceleratorMeasured:
            return MEASURED

    monkeypatch.setattr(training_run, "GpuMonitor", Fake)
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN_SNAPSHOTS", 0.0)
    request = make_request(tmp_path)
    events = list(TrainingRun(request, TrainingControls()).events())
    assert events.count(MEASURED) > 3
    (folder,) = RunFolder.all(request.root)
    assert "Fast Card" not in (folder.path / "metrics.jsonl").read_text(encoding="utf-8")
