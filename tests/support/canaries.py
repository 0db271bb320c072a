"""Files of a user with names that Python, NumPy or this program import, and whether one was run."""

from __future__ import annotations

from pathlib import Path

NAMES = ("numpy", "numbers", "json", "model", "tui", "corpus", "torch", "typing_extensions")


def lay_out_canaries(folder: Path, *names: str) -> Path:
    """Writes modules that leave a mark when they are run; returns where the mark would be."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / "this file of the user was run"
    for name in names or NAMES:
        (folder / f"{name}.py").write_text(
            f"open({str(mark)!r}, 'a').write({name!r})\nraise SystemExit(7)\n"
        )
    return mark
