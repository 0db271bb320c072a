"""Our child processes: one module starts them, none runs a file of the working directory (C20)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import lay_out_canaries
from patience import PATIENCE
from terminal_harness import PROGRAM, make_environment

import corpus
import model
import tui
from model.errors import ChildEnded
from model.system.child_process import (
    answering_child,
    child_command,
    child_environment,
    how_it_ended,
    last_line,
)

STARTER = Path(model.__file__).with_name("system") / "child_process.py"
SHELL_STARTER = Path(str(tui.__file__)).parent / "terminal" / "keeper.py"
"""It starts no Python, so no module of the working directory."""
STARTING_MODULES = frozenset(
    {"subprocess", "multiprocessing", "pty", "concurrent", "_posixsubprocess"}
)
STARTING_NAMES = frozenset(
    {
        *("create_subprocess_exec", "create_subprocess_shell", "subprocess_exec"),
        *("subprocess_shell", "ProcessPoolExecutor"),
    }
)
STARTING_NAMES_OF_OS = frozenset(
    {
        *("system", "popen", "posix_spawn", "posix_spawnp", "fork", "forkpty", "startfile"),
        *(f"{how}{kind}" for how in ("exec", "spawn") for kind in ("l", "le", "lp", "lpe")),
        *(f"{how}{kind}" for how in ("exec", "spawn") for kind in ("v", "ve", "vp", "vpe")),
    }
)


def starts_of(tree: ast.AST) -> Iterator[str]:
    """Yields what could start a process: imports of modules that do, and names of functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names if _starts(item.name))
        elif isinstance(node, ast.ImportFrom):
            if _starts(node.module or ""):
                yield node.module or ""
            names = STARTING_NAMES | (STARTING_NAMES_OF_OS if node.module == "os" else set())
            yield from (item.name for item in node.names if item.name in names)
        elif isinstance(node, ast.Attribute):
            of_os = isinstance(node.value, ast.Name) and node.value.id == "os"
            if node.attr in STARTING_NAMES | (STARTING_NAMES_OF_OS if of_os else set()):
                yield node.attr


def _starts(name: str) -> bool:
    parts = set(name.split("."))
    return bool(parts & STARTING_MODULES) and name != "concurrent.futures"


def test_one_module_alone_starts_processes() -> None:
    found = {
        (path.name, what)
        for package in (corpus, model, tui)
        for path in Path(str(package.__file__)).parent.rglob("*.py")
        for what in starts_of(ast.parse(path.read_text(encoding="utf-8")))
        if path not in {STARTER, SHELL_STARTER}
    }
    assert not found, "model/system/child_process.py starts our children"
    assert "executable" not in SHELL_STARTER.read_text(encoding="utf-8")
    assert set(starts_of(ast.parse(STARTER.read_text(encoding="utf-8")))) >= {"subprocess"}


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess",
        "from subprocess import run",
        "import asyncio.subprocess",
        "import os\nos.execvp('python', [])",
        "from os import system",
        "import multiprocessing.pool",
        "from concurrent.futures import ProcessPoolExecutor",
        "loop.subprocess_exec(protocol)",
    ],
)
def test_the_search_finds_what_starts_a_process(code: str) -> None:
    assert list(starts_of(ast.parse(code)))


def test_a_child_runs_no_file_of_the_working_directory(tmp_path: Path) -> None:
    """C20: the stock ways of `bench` in a folder of files named like modules."""
    mark = lay_out_canaries(tmp_path / "work")
    code = (
        "import os\n"
        "from model.bench.rows import Task\n"
        "from model.bench.stock_process import stock_process\n"
        "os.environ['PYTHONPATH'] = ':/nowhere'\n"
        "task = Task(kind='sampling', hidden=8, layers=1, width=1)\n"
        "with stock_process() as stock:\n"
        "    print(stock.implementations(task)['nn.LSTM'](0.01) > 0)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path / "work",
        env=make_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert not mark.exists()


def test_a_folder_that_pythonpath_names_is_still_searched(tmp_path: Path) -> None:
    (tmp_path / "given.py").write_text("while True: print(input()[::-1], flush=True)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with answering_child("a child", "given", environment=environment) as child:
        assert child.ask("abc") == "cba\n"
        assert child.ask("xyz") == "zyx\n"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", None), (":", None), ("/a::/b:", "/a:/b"), (".", "."), ("/a", "/a")],
)
def test_empty_entries_of_pythonpath_are_left_out(given: str, kept: str | None) -> None:
    assert child_environment({"PYTHONPATH": given, "A": "b"}).get("PYTHONPATH") == kept
    assert child_environment({"A": "b"}) == {"A": "b"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import sys; print('lost\\nits way', file=sys.stderr); sys.exit(3)",
            "ended with status 3: its way",
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            r"was ended by signal 9 \(SIGKILL\)$",
        ),
        ("import sys; sys.exit(0)", "ended with status 0$"),
        ("raise ValueError('no such thing')", "status 1: ValueError: no such thing"),
    ],
)
def test_a_child_that_dies_is_named_with_its_status_and_last_words(
    tmp_path: Path, code: str, words: str
) -> None:
    (tmp_path / "dying.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with (
        answering_child("the dying child", "dying", environment=environment) as child,
        pytest.raises(ChildEnded, match=words.removesuffix("$")) as caught,
    ):
        for _ in range(1000):  # the pipe may take a question before the child is gone
            child.ask("anybody there?" * 100)
    assert caught.value.subject == "the dying child"
    assert words.endswith("$") <= (caught.value.cause == words.removesuffix("$").replace("\\", ""))


def test_a_child_that_dies_ends_bench_in_one_line_and_not_as_a_reader_that_has_gone(
    tmp_path: Path,
) -> None:
    """C20: status 141 is for a closed standard output alone."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'model.bench.stock_process' in sys.orig_argv:\n"
        "    os.write(2, b'the library \\x1b[2J is broken\\n')\n"
        "    os._exit(7)\n"
    )
    done = subprocess.run(
        [PROGRAM, "bench", "--quick", "--rounds", "1"],
        env=make_environment(tmp_path, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "charlm-tui: the process of the stock implementations: ended with status 7: "
        "the library ␛[2J is broken; try it again\n"
    )


def test_words_say_how_a_child_ended() -> None:
    assert how_it_ended(-200, "") == "was ended by signal 200 (unknown)"
    assert how_it_ended(None, "x") == "closed its output: x"
    assert last_line(b"one\n two \n\n") == "two"
    assert last_line(b"") == ""
    assert child_command("a", "b")[1:] == ["-P", "-m", "a", "b"]
