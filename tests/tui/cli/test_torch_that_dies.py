"""Commands on a machine where an import of torch ends the process, as on a Raspberry Pi 4."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import platformdirs
import pytest
from fake_torch import DIES, TORCH_DIES, lay_out_torch
from model_fixtures import make_checkpoint
from patience import PATIENCE
from terminal_harness import PROGRAM, TINY, Terminal, assert_terminal_restored, make_environment

from corpus.files.places import NAME
from model.runs.checkpoint_file import write_checkpoint
from model.system import torch_import

CHECKPOINT = "tiny.safetensors"
TRAIN = ("train", "words.txt", "--epochs", "1", *TINY)
COUNTS = """
import os, sys
with open(os.environ["STARTS"], "a") as file:
    print(*sys.orig_argv[1:3], file=file)
"""
"""A `sitecustomize` that writes a line at the start of every interpreter."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a text, a checkpoint and a torch that dies."""
    lay_out_torch(tmp_path / "library", DIES.format("SIGILL"))
    (tmp_path / "words.txt").write_text("the cat sat on the mat.\n" * 200, encoding="utf-8")
    write_checkpoint(tmp_path / CHECKPOINT, make_checkpoint())
    return tmp_path


def start(home: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = make_environment(home, PYTHONPATH=str(home / "library"))
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=home,
        env={**environment, **changes},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        TRAIN,
        ("evaluate", "words.txt", "--checkpoint", CHECKPOINT),
        ("generate", "--checkpoint", CHECKPOINT, "--device", "cuda"),
        ("bench", "--quick"),
    ],
    ids=lambda command: command[0],
)
def test_what_needs_torch_says_so_in_one_line(home: Path, command: tuple[str, ...]) -> None:
    done = start(home, *command)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", TORCH_DIES)
    assert not list((home / "runs").glob("*"))
    assert not list(home.glob("core*"))


def test_a_newer_library_beside_it_is_not_blamed(home: Path) -> None:
    """A library on `PYTHONPATH` that hides an installed one is named only for other errors."""
    shutil.copytree(Path(platformdirs.__file__).parent, home / "library" / "platformdirs")
    done = start(home, *TRAIN)
    assert (done.returncode, done.stderr) == (1, TORCH_DIES)


def test_processes_that_train_together_say_so(home: Path) -> None:
    ranks = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    done = start(home, *TRAIN, **ranks, MASTER_ADDR="127.0.0.1", MASTER_PORT="1")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", TORCH_DIES)


@pytest.mark.parametrize(
    "command",
    [
        ("generate", "--checkpoint", CHECKPOINT, "--length", "20", "--json"),
        ("runs",),
        ("corpora",),
        ("config",),
        ("--version",),
    ],
    ids=lambda command: command[0],
)
def test_what_needs_no_torch_neither_tries_nor_misses_it(
    home: Path, command: tuple[str, ...]
) -> None:
    (home / "library" / "sitecustomize.py").write_text(COUNTS, encoding="utf-8")
    done = start(home, *command, STARTS=str(home / "starts"))
    assert done.returncode == 0
    assert len((home / "starts").read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.terminal
def test_the_app_says_so_and_restores_the_terminal(home: Path) -> None:
    with Terminal(
        [PROGRAM, "words.txt", *TINY],
        environment=make_environment(home, PYTHONPATH=str(home / "library")),
        folder=home,
        columns=200,
    ) as app:
        assert app.wait_for_exit() == 1
        assert TORCH_DIES.strip() in app.plain
        assert "Traceback" not in app.plain
        assert_terminal_restored(app)
    assert not list((home / "runs").glob("*"))


@pytest.mark.terminal
def test_the_app_writes_with_saved_weights_without_torch(home: Path) -> None:
    with Terminal(
        [PROGRAM, "--checkpoint", CHECKPOINT],
        environment=make_environment(home, PYTHONPATH=str(home / "library")),
        folder=home,
    ) as app:
        app.wait_for_text("OPENED")
        app.send("q")
        assert app.wait_for_exit() == 0


def test_a_program_tries_a_good_torch_at_its_first_start_alone(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("the cat sat on the mat.\n" * 200, encoding="utf-8")
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "sitecustomize.py").write_text(COUNTS, encoding="utf-8")
    starts, cache = tmp_path / "starts", tmp_path / "another cache"
    # A user's folder for temporary files may remember torch, too.
    places = {"XDG_CACHE_HOME": str(cache), "TMPDIR": str(tmp_path)}
    found = []
    for _ in range(2):
        done = start(tmp_path, *TRAIN, STARTS=str(starts), **places)
        assert (done.returncode, done.stderr) == (0, "")
        found.append(starts.read_text(encoding="utf-8").count("-P -c"))
    assert found == [1, 1]
    assert len(list((cache / NAME / torch_import.FOLDER).iterdir())) == 1


def test_a_signal_ends_a_program_while_it_tries_torch(home: Path) -> None:
    (home / "library" / "torch" / "__init__.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "while True:\n    signal.pause()\n",
        encoding="utf-8",
    )
    done = start(home, *TRAIN)
    assert (done.returncode, done.stdout, done.stderr) == (128 + 15, "", "")
    assert not _processes_that_search(home / "library")


def _processes_that_search(folder: Path) -> list[bytes]:
    """Returns the command lines that name a folder, where the system lists processes as files."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes())
    return [line for line in found if os.fsencode(folder) in line]
