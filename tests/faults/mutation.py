"""Runs tests on a copy of the tree in which one line is wrong: some test must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("corpus", "model", "tui", "tests", "docs", "pyproject.toml", "README.md")
"""What tests read; the docs and README are looked through by some."""
PASSED, FAILED = 0, 1
"""Statuses of pytest; others mean that it could not run the tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A small change of the source, and the tests that must notice it."""

    name: str
    """What is wrong with it."""
    file: str
    old: str
    """Text that is in the file exactly once."""
    new: str
    tests: tuple[str, ...]
    """Files of tests, or single ones as pytest names them."""

    def applied(self, source: str) -> str:
        """Returns the source with the change.

        Raises:
            ValueError: the old text is not there exactly once.
        """
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} is {source.count(self.old)} times there")
        return source.replace(self.old, self.new)


class CopiedTree:
    """A copy of the tree, to be changed and tested."""

    def __init__(self, folder: Path) -> None:
        """Copies the tree as it is, with the times of its files."""
        self.folder = folder
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*.pyc"))
            else:
                shutil.copy2(source, folder / name)

    @contextmanager
    def with_mutant(self, mutant: Mutant) -> Iterator[None]:
        """Changes the copy for a while."""
        path = self.folder / mutant.file
        status, source = path.stat(), path.read_text(encoding="utf-8")
        path.write_text(mutant.applied(source), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(source, encoding="utf-8")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def run(self, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs tests on the copy until one fails; no file of the tree itself is imported."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            # One second is as good as another to a compiled file's stamp.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        environment.pop("PYTEST_ADDOPTS", None)
        options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def imports_itself(self) -> bool:
        """Whether the packages that tests import here are the copy's."""
        code = "import corpus, model, tui; print(corpus.__file__, model.__file__, tui.__file__)"
        told = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        return all(file.startswith(str(self.folder)) for file in told.stdout.split())
