"""A package `torch` of a few lines, for what an import of the real one may do on other machines."""

from __future__ import annotations

from pathlib import Path

DIES = "import os, signal\nos.kill(os.getpid(), signal.{})\n"
"""An import that ends the process by a signal, as an instruction does that a processor lacks."""
TORCH_DIES = (
    "charlm-tui: torch: its import was ended by signal 4 (SIGILL), because this build needs "
    "instructions that the processor lacks; install a version or build of PyTorch that runs on "
    "this processor\n"
)
"""What a program says that finds such a torch."""


def lay_out_torch(folder: Path, code: str) -> Path:
    """Makes a package `torch` that runs the code when it is imported; returns its folder."""
    package = folder / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code, encoding="utf-8")
    return package
