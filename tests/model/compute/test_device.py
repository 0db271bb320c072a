"""What is asked of the machine before anything is computed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
from patience import PATIENCE

from model.compute.malloc import give_back_memory, keep_freed_memory

COUNT_FAULTS = """
import resource, sys
import numpy as np
from model.compute.malloc import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [np.ones(24 * 2**20, np.uint8) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
assert keep_freed_memory()
faults()
print(first, faults())
"""
GIVE_BACK = """
import numpy as np
from model.compute.malloc import give_back_memory, keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

assert keep_freed_memory()
blocks = [np.ones(24 * 2**20, np.uint8) for _ in range(8)]
del blocks
kept = resident()
give_back_memory()
print(kept, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_used_again_without_being_put_in_place_anew() -> None:
    found = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    before, after = map(int, found.stdout.split())
    assert before > 20_000, "four times 24 MB are 24,000 pages a round"
    assert after < before / 100


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_was_tried_out_is_given_back() -> None:
    found = subprocess.run(
        [sys.executable, "-c", GIVE_BACK],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    kept, left = map(int, found.stdout.split())
    assert kept - left > 150 * 2**20


def test_a_c_library_that_cannot_be_told_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert keep_freed_memory() is False
    give_back_memory()
