"""The first start on a machine imports torch in a child; what that shows is remembered or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_torch import DIES, lay_out_torch
from patience import PATIENCE

import model
from corpus.files.places import NAME
from model.system import processor

ASK = "from model.system.torch_import import require_torch\nrequire_torch()\n"


class Machine:
    """A machine whose torch writes a dot into a file for each import, then runs some code."""

    def __init__(self, folder: Path, code: str = "") -> None:
        self._folder = folder
        self._dots = folder / "dots"
        self._dots.touch()
        self.torch = lay_out_torch(folder / "library", self._code(code))

    def _code(self, code: str) -> str:
        return f"with open({str(self._dots)!r}, 'a') as dots:\n    dots.write('.')\n{code}"

    def install(self, code: str) -> None:
        """Replaces the content of torch by other code."""
        (self.torch / "__init__.py").write_text(self._code(code), encoding="utf-8")

    def start(self, code: str = ASK, **changes: str) -> subprocess.CompletedProcess[str]:
        """Runs code that has not imported torch, in a new process."""
        source = Path(str(model.__file__)).parents[1]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "XDG_CACHE_HOME": str(self._folder / "cache"),
            "PYTHONPATH": os.pathsep.join([str(self.torch.parent), str(source)]),
            **changes,
        }
        return subprocess.run(
            [sys.executable, "-P", "-c", code],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def goes_on(self, code: str = ASK, **changes: str) -> bool:
        done = self.start(code, **changes)
        assert done.stderr == ""
        return done.returncode == 0

    def refusal(self) -> str:
        done = self.start()
        assert done.returncode == 1
        return done.stderr.splitlines()[-1]

    @property
    def imports(self) -> int:
        return len(self._dots.read_text(encoding="utf-8"))

    @property
    def remembered(self) -> int:
        return len(list((self._folder / "cache" / NAME).rglob("?" * 64)))


def test_a_torch_that_can_be_imported_is_tried_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert [machine.goes_on() for _ in range(3)] == [True] * 3
    assert (machine.imports, machine.remembered) == (1, 1)


def test_a_change_of_what_the_answer_depends_on_has_torch_tried_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.goes_on()
    machine.install("pass")
    assert machine.goes_on()
    (machine.torch / "version.py").write_text("__version__ = '9.9'", encoding="utf-8")
    assert machine.goes_on()
    (machine.torch / "lib").mkdir()
    assert machine.goes_on()
    assert machine.goes_on(f"import sys\nsys.version = 'another'\n{ASK}")
    described = tmp_path / "cpuinfo"
    described.write_text("processor : 0\nmodel name : another\nflags : fpu\n\n", encoding="utf-8")
    elsewhere = (
        "import pathlib\nfrom model.system import processor, torch_import\n"
        f"processor.PROCESSOR = pathlib.Path({str(described)!r})\n{ASK}"
    )
    assert machine.goes_on(elsewhere)
    assert (machine.imports, machine.remembered) == (6, 6)
    assert machine.goes_on(elsewhere)
    assert machine.goes_on()
    assert machine.imports == 6, "each machine that shares the cache has its own file"


@pytest.mark.parametrize(("number", "signal"), [(4, "SIGILL"), (11, "SIGSEGV")])
def test_a_torch_that_dies_is_refused_at_every_start_until_it_is_mended(
    tmp_path: Path, number: int, signal: str
) -> None:
    machine = Machine(tmp_path, DIES.format(signal))
    for _ in range(2):
        words = machine.refusal()
        assert f"TorchUnusable: torch: its import was ended by signal {number} ({signal})" in words
        assert ("the processor lacks" in words) == (signal == "SIGILL")
    assert (machine.imports, machine.remembered) == (2, 0)
    machine.install("")
    assert machine.goes_on()
    assert machine.remembered == 1


@pytest.mark.parametrize("code", [DIES.format("SIGTERM"), DIES.format("SIGKILL"), "1 / 0"])
def test_a_probe_that_was_interrupted_or_failed_says_nothing(tmp_path: Path, code: str) -> None:
    """An error of the import itself is reported where it is imported."""
    machine = Machine(tmp_path, code)
    assert machine.goes_on()
    assert machine.goes_on()
    assert (machine.imports, machine.remembered) == (2, 0)


def test_a_torch_that_is_missing_is_left_to_the_import(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    code = f"{ASK.splitlines()[0]}\nimport sys\nsys.meta_path.clear()\nrequire_torch()\n"
    assert machine.goes_on(code)
    assert machine.imports == 0


def test_a_torch_that_is_imported_already_is_not_tried(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.goes_on(f"import torch\n{ASK}")
    assert (machine.imports, machine.remembered) == (1, 0)


def test_without_a_cache_folder_torch_is_tried_at_every_start(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "file").touch()
    blocked = {"XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path / "file")}
    code = f"import tempfile\ntempfile.tempdir = {blocked['TMPDIR']!r}\n{ASK}"
    assert machine.goes_on(code, **blocked)
    assert machine.goes_on(code, **blocked)
    assert machine.imports == 2


def test_the_processor_is_described_by_what_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "PROCESSOR", described)
    before = processor.processor_kind()
    assert before == os.uname().nodename, "where Linux does not describe it"
    found = []
    for speed, features in (("1000", "fp asimd"), ("2000", "fp asimd"), ("2000", "fp atomics")):
        described.write_text(
            f"processor\t: 0\nBogoMIPS\t: {speed}\nFeatures\t: {features}\nCPU part\t: 0xd08\n\n"
            f"processor\t: 1\nFeatures\t: {speed}\n",
            encoding="utf-8",
        )
        found.append(processor.processor_kind())
    assert found[0] == found[1] != found[2]
    assert found[0] == [(b"Features", b" fp asimd"), (b"CPU part", b" 0xd08")]


def test_a_cpu_of_this_machine_is_known() -> None:
    if processor.PROCESSOR.exists():
        assert processor.processor_kind() not in ([], os.uname().nodename)
