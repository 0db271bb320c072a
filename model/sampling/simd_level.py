"""Checks `$CHARLM_SIMD`, which lowers the SIMD level of the compiled code. LLVM."""

from __future__ import annotations

import os

from model.errors import ConfigError
from model.kernels.cpu import LEVELS, VARIABLE


def check_simd_level() -> None:
    """Checks the variable's value.

    Raises:
        ConfigError: this processor does not have the level.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen not in {"", *LEVELS}:
        levels = ", ".join(LEVELS)
        raise ConfigError(f"${VARIABLE}", f"no level {chosen!r} here", f"give one of: {levels}")
