"""Every SIMD level that this processor has passes the tests of the compiled code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model.errors import ConfigError
from model.kernels.cpu import LEVELS, SIMD, VARIABLE
from model.sampling.simd_level import check_simd_level

ROOT = Path(__file__).parents[3]
TESTS = (
    *("kernels/test_matmul.py", "kernels/test_decode.py", "kernels/test_lstm_cell.py"),
    *(
        "kernels/test_exact_bits.py",
        "kernels/test_amx.py",
        "network/test_layers.py",
        "network/test_compiled_step.py",
    ),
)
USUAL = "avx2"
"""The level below that most users have; the others are tested by ``make test-slow``."""


@pytest.mark.parametrize(
    "level",
    [
        level if level == USUAL else pytest.param(level, marks=pytest.mark.slow)
        for level in LEVELS
        if level != SIMD
    ],
)
def test_a_lower_level_passes_the_tests_of_the_kernels(
    level: str, figure: Callable[[str], None]
) -> None:
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, *(f"tests/model/{name}" for name in TESTS)],
        cwd=ROOT,
        env={**os.environ, VARIABLE: level, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:]
    counts = re.search(r"(\d+) passed(?:, (\d+) skipped)?", ended.stdout)
    assert counts is not None
    figure(f"SIMD level {level}: {counts[1]} tests passed, {counts[2] or 0} skipped")
    # Those of AMX and of bfloat16; without fused operations also those of exact bits.
    assert int(counts[2] or 0) <= {"amx": 0, "sse2": 14}.get(level, 5)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_narrows_what_is_compiled(level: str) -> None:
    code = (
        "import model.kernels.jit, numba; from model.kernels.cpu import *;"
        "print(SIMD, LANES, HAS_BFLOAT16, HAS_AMX, numba.config.CPU_FEATURES or '')"
    )
    shown = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=ROOT,
        env={**os.environ, VARIABLE: level},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    lanes = {"avx2": 8, "avx512": 16, "avx512bf16": 16, "amx": 16}.get(level, 4)
    assert shown[:2] == [level, str(lanes)]
    assert shown[2:4] == [str(level in {"avx512bf16", "amx"}), str(level == "amx")]
    features = shown[4] if len(shown) > 4 else ""
    for feature, lowest in (("avx512f", "avx512"), ("avx512bf16", "avx512bf16")):
        if level in LEVELS and lowest in LEVELS and LEVELS.index(level) < LEVELS.index(lowest):
            assert f"-{feature}" in features.split(",")


def test_a_level_that_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for good in ("", *LEVELS):
        monkeypatch.setenv(VARIABLE, good)
        check_simd_level()
    monkeypatch.setenv(VARIABLE, "avx1024")
    with pytest.raises(ConfigError, match="no level 'avx1024' here"):
        check_simd_level()
