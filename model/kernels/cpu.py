"""The SIMD level of this processor, which `$CHARLM_SIMD` may lower, and its vectors. LLVM.

Levels of x86-64, each of which includes those before it: ``sse2``, ``avx2``, ``avx512``,
``avx512bf16`` (dot products of bfloat16 pairs), ``amx`` (tiles of bfloat16). The level of arm64 is
``neon``, that of every other processor ``generic``. What is not of the level is switched off in
LLVM, too, so that every path which a processor can run can be tested on it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from typing import Final

try:
    import llvmlite.binding as llvm  # type: ignore[import-untyped]
except Exception:  # noqa: BLE001 - a broken library: NumPy and PyTorch do the work
    llvm = None

VARIABLE: Final = "CHARLM_SIMD"
"""Environment variable with the name of the highest level to be used."""

_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18
"""``arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA)`` on x86-64, of Linux's ``prctl.h``."""

_X86_LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "sse2": (),
    "avx2": ("avx2", "fma"),
    "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
    "avx512bf16": ("avx512bf16",),
    "amx": ("amx-bf16",),
}
"""LLVM's names of the features that each level adds to the one before it."""
_ABOVE: Final[Mapping[str, tuple[str, ...]]] = {
    "sse2": ("avx", "fma", "f16c", "vaes", "vpclmulqdq", "amx"),
    "avx2": ("avx512", "avx10", "amx"),
    "avx512": ("avx512bf16", "avx512fp16", "avx10", "amx"),
    "avx512bf16": ("amx",),
}
"""How the names of all features above each level begin."""


def _host_features() -> dict[str, bool]:
    """Returns this processor's features by LLVM's names; nothing if LLVM does not know them."""
    if llvm is None:
        return {}
    try:
        return dict(llvm.get_host_cpu_features())
    except RuntimeError:
        return {}


def _may_use_tiles() -> bool:
    """Asks Linux for the permission to use AMX tiles; returns whether this process has it."""
    if sys.platform != "linux":
        return False
    try:
        call = ctypes.CDLL(None).syscall
    except (OSError, AttributeError):
        return False
    return bool(call(_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0)


def _levels(features: Mapping[str, bool]) -> tuple[str, ...]:
    """Returns the levels of this processor, the lowest first."""
    machine = platform.machine().lower()
    if machine in {"arm64", "aarch64"}:
        return ("neon",)
    if machine not in {"x86_64", "amd64"}:
        return ("generic",)
    levels: list[str] = []
    for level, needed in _X86_LEVELS.items():
        if not all(features.get(feature) for feature in needed):
            break
        if level == "amx" and not _may_use_tiles():
            break
        levels.append(level)
    return tuple(levels)


def llvm_features() -> str | None:
    """Returns this processor's features for LLVM without those above the level in use.

    Returns:
        Names with a sign each, separated by commas; None if nothing has to be switched off.
    """
    if LEVELS[-1] == SIMD:
        return None
    return ",".join(
        f"{'+' if has and not name.startswith(_ABOVE[SIMD]) else '-'}{name}"
        for name, has in sorted(_FEATURES.items())
    )


_FEATURES: Final = _host_features()
LEVELS: Final = _levels(_FEATURES)
"""The SIMD levels of this processor, the lowest first."""
_CHOSEN: Final = os.environ.get(VARIABLE, "")
SIMD: Final = _CHOSEN if _CHOSEN in LEVELS else LEVELS[-1]
"""The level in use."""
HAS_AMX: Final = SIMD == "amx"
"""Whether bfloat16 is multiplied in tiles (AMX)."""
HAS_BFLOAT16: Final = SIMD in {"avx512bf16", "amx"}
"""Whether the processor multiplies pairs of bfloat16. If not, pairs are multiplied as float32."""
LANES: Final = {"avx2": 8, "avx512": 16, "avx512bf16": 16, "amx": 16}.get(SIMD, 4)
"""Float32 of a vector."""
REGISTERS: Final = 32 if LANES == 16 or SIMD == "neon" else 16
"""Vector registers."""
