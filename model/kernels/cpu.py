"""Instruction sets of this processor that not all have. LLVM."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

try:
    import llvmlite.binding as llvm  # type: ignore[import-untyped]
except Exception:  # noqa: BLE001 - a broken library: NumPy and PyTorch do the work
    llvm = None

_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18
"""``arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA)`` on x86-64, of Linux's ``prctl.h``."""


def processor_has(feature: str) -> bool:
    """Whether this processor has an instruction set, by LLVM's name for it."""
    if llvm is None:
        return False
    try:
        return bool(llvm.get_host_cpu_features().get(feature))
    except RuntimeError:
        return False


def _may_use_tiles() -> bool:
    """Asks Linux for the permission to use AMX tiles; returns whether this process has it."""
    if sys.platform != "linux" or not processor_has("amx-bf16"):
        return False
    try:
        call = ctypes.CDLL(None).syscall
    except (OSError, AttributeError):
        return False
    return bool(call(_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0)


HAS_BFLOAT16: Final = processor_has("avx512bf16")
"""Whether the processor multiplies pairs of bfloat16 (AVX512-BF16). If not, LLVM cannot compile the
instruction."""
HAS_AMX: Final = HAS_BFLOAT16 and _may_use_tiles()
"""Whether the processor multiplies tiles of bfloat16 (AMX), and Linux permits it."""
LANES: Final = 16 if processor_has("avx512f") else 8
"""Float32 of a vector: AVX-512, otherwise AVX2 or two registers of NEON."""
