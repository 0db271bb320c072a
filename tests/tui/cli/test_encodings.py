"""The command line under every encoding of the system, with names and texts of every kind (C15)."""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from forked import ROOT
from patience import PATIENCE
from slow_cases import slowly
from terminal_harness import TINY

from tui.console.output import encodable_on, json_for, speaks_utf8

NAMES = ("日本", "e\u0301🎉\u202e", os.fsdecode(b"bytes\xff\xfe"), "été", "-dash [b]x")
"""Of a folder and of a text in it: wide, combining, obeyed by terminals, no UTF-8, Latin."""
TEXT = "日本のété 🎉 e\u0301 \u0915\u093f brown fox. " * 120
LOCALES = {
    "UTF-8": {"LC_ALL": "C.UTF-8"},
    "ASCII": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "latin-1 streams": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "latin-1"},
    "ISO-8859-1": {"LC_ALL": "en_US.ISO-8859-1", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}
SCRIPT = """
import json, os, sys
from tui.cli.main import run
from tui.console.output import open_streams

open_streams()
END = chr(10) + "----" + chr(10)
for command in json.loads(sys.argv[1]):
    status = run([os.fsdecode(bytes.fromhex(word)) for word in command])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        stream.buffer.write(f"{END}{status}{END}".encode())
        stream.flush()
"""
"""Runs commands one after the other, as the program does at its door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command of the child left behind, as bytes."""

    status: int
    output: bytes
    complaint: bytes


def ran(home: Path, locale: str, commands: list[list[str]]) -> list[Done]:
    if locale == "ISO-8859-1":
        _make_locale(home)
    words = [[os.fsencode(word).hex() for word in command] for command in commands]
    unset = ("LC_ALL", "LANG", "LC_CTYPE", "PYTHONIOENCODING", "PYTHONUTF8", "CHARLM_CHECKPOINTS")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "LOCPATH": str(home / "locales")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(words)],
        cwd=home,
        env=environment | LOCALES[locale],
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert b"Traceback" not in done.stderr, done.stderr
    outputs, complaints = (stream.split(b"\n----\n")[:-1] for stream in (done.stdout, done.stderr))
    assert len(outputs) == len(complaints) == 2 * len(commands), done
    return [
        Done(status=int(outputs[place + 1]), output=outputs[place], complaint=complaints[place])
        for place in range(0, len(outputs), 2)
    ]


def _make_locale(home: Path) -> None:
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not installed")
    (home / "locales").mkdir(exist_ok=True)
    target = home / "locales" / "en_US.ISO-8859-1"
    make = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(target)]
    if subprocess.run(make, check=False, capture_output=True).returncode != 0:
        pytest.skip("this system has no sources of locales")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("encodings")
    for name in NAMES:
        (home / name).mkdir()
        (home / name / f"{name}.txt").write_text(TEXT, encoding="utf-8")
    return home


def commands_on(name: str) -> list[list[str]]:
    """Every command that ends by itself, on a folder and a text of that name."""
    root = f"--checkpoints=./{name}"
    text = f"./{name}/{name}.txt"
    train = ["train", text, root, "--run", "r", *TINY, "--epochs", "1"]
    return [
        train,
        [*train[:-1], "2", "--resume", "--json"],
        ["runs", root],
        ["runs", root, "--json"],
        ["generate", root, "--length", "300", "--prompt", "日本", "--seed", "1"],
        ["generate", root, "--length", "300", "--json", "--stop", "\u0916"],
        ["evaluate", root],
        ["evaluate", text, root, "--json"],
        ["export", "r", root, "--output", f"./{name}/out{name}.safetensors"],
    ]


REFUSED = [
    [f"./{NAMES[2]}/none.txt"],
    ["train", "./日本/no", "--run", "r"],
    ["generate", "--run", "日本🎉"],
    ["generate", f"--checkpoint=./{NAMES[2]}/none"],
    ["evaluate", "日本"],
    ["runs", "日本"],
    ["--theme", "日本"],
    ["train", "--preset", NAMES[2]],
]
TOLD = [
    ["--help"],
    ["--version"],
    *([command, "--help"] for command in ("train", "generate", "watch", "serve", "bench")),
    ["config"],
    ["corpora"],
    ["corpora", "--json"],
    *(["--completion", shell] for shell in ("bash", "zsh", "fish")),
]


@pytest.mark.parametrize("locale", slowly(LOCALES, but=2))
def test_no_name_ends_a_command(locale: str, texts: Path, tmp_path: Path) -> None:
    """Each command under each encoding: its status, printable bytes of the encoding, JSON."""
    home = tmp_path / "home"
    shutil.copytree(texts, home)
    plan = [command for name in NAMES for command in commands_on(name)]
    done = ran(home, locale, [*plan, *TOLD, *REFUSED])
    encoding = "utf-8" if "UTF-8" in locale else "latin-1" if "1" in locale else "ascii"
    for command, one in zip([*plan, *TOLD, *REFUSED], done, strict=True):
        assert b"defect" not in one.complaint, (command, one)
        assert (one.status == 0) == (command not in REFUSED), (command, one)
        for stream in (one.output, one.complaint):
            shown = stream.decode(encoding)
            assert encoding == "utf-8" or not any(0x7F <= ord(c) < 0xA0 for c in shown)
        if "--json" in command:
            text = one.output.decode("utf-8" if encoding == "utf-8" else "ascii")
            assert [json.loads(line) for line in text.splitlines()]
        if command[0] == "runs" and "--json" not in command and one.status == 0:
            _assert_aligned(one.output.decode(encoding))
    for name in NAMES:
        assert (home / name / f"out{name}.safetensors").is_file()


def _assert_aligned(table: str) -> None:
    """Asserts that the last column of each row begins in one cell, counted as terminals do."""
    from rich.cells import cell_len

    heading, *_, row = (line for line in table.splitlines() if line.strip())
    place = cell_len(heading[: heading.index("checkpoints")])
    start = next(index for index in range(len(row)) if cell_len(row[:index]) == place)
    assert row[start - 1] == " "
    assert row[start].isdigit()


def test_the_text_of_a_run_is_written_with_backslashes_where_it_cannot_be_shown(
    texts: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(texts, home)
    plan = commands_on("été")
    write = ["generate", "--checkpoints=./été", "--length", "200", "--seed", "1"]
    _, plain = ran(home, "UTF-8", [plan[0], write])
    (escaped,) = ran(home, "latin-1 streams", [write])
    text = plain.output.decode().encode("latin-1", "backslashreplace")
    assert escaped.output == text
    assert b"\\u" in text
    assert b"characters, " in escaped.complaint


def test_a_run_of_one_locale_is_resumed_in_another(texts: Path, tmp_path: Path) -> None:
    """What a run keeps of its text's name is bytes, not what one locale made of them."""
    home = tmp_path / "home"
    shutil.copytree(texts, home)
    train = commands_on("日本")[0]
    resume = ["train", "--resume", "--run", "r", "--checkpoints=./日本", "--epochs", "2"]
    (first,) = ran(home, "ASCII", [train])
    (again,) = ran(home, "UTF-8", [resume])
    assert (first.status, again.status) == (0, 0), again.complaint


@pytest.mark.parametrize("locale", ["ASCII", "latin-1 streams", "UTF-8"])
def test_a_name_that_is_completed_leaves_as_the_bytes_that_came(
    locale: str, tmp_path: Path
) -> None:
    for name in (*(os.fsencode(name) for name in NAMES[:4]), b"ge"):
        words = {
            b"_CHARLM_TUI_COMPLETE": b"bash_complete",
            b"COMP_WORDS": b"charlm-tui train --checkpoints " + name,
            b"COMP_CWORD": b"3",
        }
        environment = {**os.environb, **words, b"PYTHONPATH": os.fsencode(ROOT)}
        environment |= {key.encode(): value.encode() for key, value in LOCALES[locale].items()}
        done = subprocess.run(
            [sys.executable, "-m", "tui"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == b"file," + name + b"\n"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "latin-1", "ascii", "utf-16"])
def test_json_is_ascii_where_the_output_is_not_utf_8(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    value = {"name": "日本 e\u0301 🎉 \u202e \x85 \udcff", "x": [1.5, None]}
    line = json_for(stream, json.dumps(value, ensure_ascii=False))
    assert json.loads(line) == value
    assert line.isascii() == (not speaks_utf8(stream))
    assert line.encode(encoding)
    assert encodable_on(stream, "日本é").encode(encoding)


def test_no_file_of_ours_is_read_or_written_in_the_encoding_of_the_system() -> None:
    """A text file says its encoding, wherever it is opened; so does the text of a child's pipes."""
    missing = []
    for package in ("corpus", "model", "tui"):
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            missing += [
                f"{path.relative_to(ROOT)}:{node.lineno}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and _needs_encoding(node)
            ]
    assert missing == []


def _needs_encoding(call: ast.Call) -> bool:
    named = {word.arg for word in call.keywords}
    if {"encoding", "buffering", None} & named:  # text is always buffered
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in {"read_text", "write_text"}:
        return isinstance(call.func, ast.Attribute) and not _is_ours(call.func)
    if {"text", "universal_newlines"} & named and name in {"run", "Popen", "check_output"}:
        return True
    if name not in {"open", "fdopen", "TextIOWrapper", "NamedTemporaryFile", "TemporaryFile"}:
        return False
    if name == "open" and isinstance(call.func, ast.Attribute) and _is_ours(call.func):
        return False
    mode = [word.value for word in call.keywords if word.arg == "mode"]
    is_method = isinstance(call.func, ast.Attribute) and name == "open"
    mode += call.args[0 if is_method or "Temporary" in name else 1 :][:1]
    constant = mode[0] if mode else None
    if "Temporary" in name and constant is None:
        return False  # bytes, unless told otherwise
    return not (isinstance(constant, ast.Constant) and "b" in str(constant.value))


def _is_ours(function: ast.Attribute) -> bool:
    """Tells whether an `open` is the system's or another's who knows no text."""
    return isinstance(function.value, ast.Name) and function.value.id in {"os", "opener"}
