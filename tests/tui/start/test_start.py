"""The entrance: a file of the user never takes the place of a package of ours (C20, C21)."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from canaries import lay_out_canaries
from patience import PATIENCE
from terminal_harness import PROGRAM, make_environment

import tui

ROOT = Path(str(tui.__file__)).parents[1]
AS_MODULE = (sys.executable, "-m", "tui")


def start(
    command: tuple[str, ...], home: Path, folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command) if command[-1] == "runs" else [*command, "--version"],
        cwd=folder,
        env=make_environment(home, **environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("kind", ["file", "package", "namespace"])
@pytest.mark.parametrize(
    ("command", "name"),
    [
        *(((PROGRAM,), name) for name in ("corpus", "model", "tui")),
        *((AS_MODULE, name) for name in ("corpus", "model")),
    ],
)
def test_what_hides_a_package_of_ours_is_named_in_one_line(
    tmp_path: Path, command: tuple[str, ...], name: str, kind: str
) -> None:
    """C21."""
    given = tmp_path / "given"
    mark = lay_out_canaries(given, name)
    place = given / f"{name}.py"
    if kind != "file":
        (given / name).mkdir()
        place = place.rename(
            given / name / ("__init__.py" if kind == "package" else "other.py")
        ).parent
    done = start(command, tmp_path, tmp_path, PYTHONPATH=str(given))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"charlm-tui: '{place}': it hides this program's package {name}; rename it, or leave its "
        "folder out of PYTHONPATH\n"
    )
    assert not mark.exists()


@pytest.mark.parametrize("name", ["json", "random", "secrets", "select", "signal", "typing"])
def test_a_module_of_pythons_own_library_is_not_taken_from_the_users_folder(
    tmp_path: Path, name: str
) -> None:
    """C21: a `json.py` on PYTHONPATH was a traceback or a defect."""
    given = tmp_path / "given"
    mark = lay_out_canaries(given, name)
    done = start((PROGRAM, "runs"), tmp_path, tmp_path, PYTHONPATH=str(given))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("no runs in ")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["numpy", "click", "platformdirs"])
def test_what_hides_an_installed_library_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    """C21."""
    place = tmp_path / "given" / f"{name}.py"
    place.parent.mkdir()
    place.touch()
    done = start((PROGRAM, "runs"), tmp_path, tmp_path, PYTHONPATH=str(place.parent))
    assert done.stderr == (
        f"charlm-tui: '{place}': it hides the installed {name}; rename it, or leave its "
        "folder out of PYTHONPATH\n"
    )
    assert (done.returncode, done.stdout) == (2, "")


def test_too_little_memory_for_the_imports_is_said_in_one_line(tmp_path: Path) -> None:
    """C7: the linear-algebra library was not loaded, with a traceback."""
    command = ("/bin/sh", "-c", f"ulimit -v 60000; exec '{PROGRAM}' \"$@\"", "sh", "runs")
    done = start(command, tmp_path, tmp_path)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == (
        "charlm-tui: memory: the system refuses to allocate more; end other programs, or raise the "
        "limit (ulimit -v)\n"
    )


def test_a_file_where_runs_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = start((PROGRAM, "runs"), tmp_path, tmp_path, CHARLM_CHECKPOINTS=str(tmp_path / "file"))
    assert (done.returncode, done.stdout) == (5, "")
    assert f"{tmp_path / 'file'}: is not a folder; name a folder" in done.stderr


@pytest.mark.parametrize("command", [(PROGRAM,), AS_MODULE])
@pytest.mark.parametrize("path", ["", ":", "::", ":/nowhere", "/nowhere:", "/nowhere::/nothing"])
def test_files_of_the_working_directory_are_not_run(
    tmp_path: Path, command: tuple[str, ...], path: str
) -> None:
    """C20: nor those that an empty entry of PYTHONPATH would bring in."""
    names = ("numpy", "numbers", "json", "model", "corpus", "click", "platformdirs")
    mark = lay_out_canaries(tmp_path / "work", *names)
    done = start(command, tmp_path, tmp_path / "work", **({"PYTHONPATH": path} if path else {}))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("charlm-tui, version")
    assert not mark.exists()


def test_another_tree_of_this_program_can_be_put_on_the_path(tmp_path: Path) -> None:
    for name in ("corpus", "model", "tui"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = start((PROGRAM,), tmp_path, tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_that_is_not_there_is_named() -> None:
    from tui.start import what_hides

    assert what_hides("no_such_package", "x.py") == (
        "no_such_package: the package is not installed; install charlm-tui again"
    )
    assert what_hides("tui", "cli/main.py") is None


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for name in ("corpus", "model", "tui")
        for path in (ROOT / name).rglob("__init__.py")
    }
    assert set(listed) - {"charlm_tui"} == there
