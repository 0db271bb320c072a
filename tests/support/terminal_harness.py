"""Runs a program on a pseudo-terminal of its own and reads its screen as a person would.

Nothing runs in the background: output is taken in while a test waits for something, so a test
that waits for nothing is a terminal that has stalled. Every wait ends with the tests' patience.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte
import pytest
from patience import PATIENCE, in_vain, moments
from wcwidth import wcwidth

from corpus.files.places import NAME
from model.runs.folder import RunFolder
from model.system import torch_import

PROGRAM = str(Path(sys.executable).with_name("charlm-tui"))
TINY = (
    *("--hidden", "16", "--batch", "4", "--sequence", "32", "--seed", "1"),
    *("--threads", "1", "--device", "cpu", "--precision", "fp32"),
)
"""Options of a network that makes hundreds of steps a second on one thread."""
LONG = (*TINY, "--minutes", "30")
"""The same, trained longer than any test lasts."""
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
RARE_SIGNALS = tuple(
    getattr(signal, name)
    for name in (
        *("SIGUSR1", "SIGXCPU", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR"),
        *("SIGSTKFLT", "SIGRTMIN", "SIGRTMAX"),
    )
    if hasattr(signal, name)
)
"""What ends a program as well: limits, timers, whatever a cluster sends before it kills."""
STEPS = re.compile(r"step-(\d+)\.safetensors")
STEP = r"step {2,}(\d[\d,]*)"
"""Finds the step on the app's screen."""

_LAUNCH = """
import os, signal, sys
for number in sys.argv[1].split():
    signal.signal(int(number), signal.SIG_IGN)
os.login_tty(0)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Makes the pseudo-terminal the program's controlling one; a fork of a test could deadlock."""

_ESCAPE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    rb"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC and other strings
    rb"|\x1b[ -/]*[0-Z\\`-~]"  # the rest
)
_CUT_SHORT = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?\Z")
_STRANGE_TO_PYTE = re.compile(
    rb"\x1b\[[<=>][^@-~]*[@-~]|\x1b\[[^@-~]*[$:][^@-~]*[@-~]|\x1b\]22;[^\x07\x1b]*(?:\x07|\x1b\\)"
)
"""Key protocol, questions about modes, coloured underlines, the shape of the mouse pointer."""


class Screen(pyte.Screen):
    """A screen that remembers every title it was given."""

    def __init__(self, columns: int, rows: int) -> None:
        self.titles: list[str] = []
        super().__init__(columns, rows)

    def set_title(self, param: str) -> None:
        self.titles.append(param)

    def set_icon_name(self, param: str) -> None:
        self.titles.append(param)

    @property
    def display(self) -> list[str]:
        """The lines. What is left of a wide character that is half overwritten is a space."""
        for row in self.buffer.values():
            for column in [column for column, cell in row.items() if not cell.data]:
                if wcwidth(row[column - 1].data) < 2:
                    row[column] = row[column]._replace(data=" ")
        return super().display


class Terminal:
    """One program on a pseudo-terminal; leaving it ends the program, whatever its state."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        folder: Path,
        columns: int = 80,
        rows: int = 24,
        ignored_signals: Sequence[int] = (),
    ) -> None:
        self.raw = bytearray()
        """Every byte that the program wrote."""
        self.screen = Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = b""
        self.master, self.slave = os.openpty()
        self._size(columns, rows)
        self.mode_before: list[Any] = termios.tcgetattr(self.slave)
        self.master_is_open = True
        ignored = " ".join(str(int(number)) for number in ignored_signals)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCH, ignored, *map(str, command)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=dict(environment),
            cwd=folder,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.hang_up()
        os.close(self.slave)

    # --- what a person does -----------------------------------------------------------------------

    def send(self, keys: str) -> None:
        """Types."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Changes the window; the kernel tells the program (SIGWINCH)."""
        self.screen.resize(rows, columns)
        self._size(columns, rows)

    def hang_up(self) -> None:
        """Takes the terminal away, as a connection that drops does."""
        if self.master_is_open:
            self.master_is_open = False
            os.close(self.master)

    # --- what a person sees -----------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The screen as lines."""
        return "\n".join(self.screen.display)

    @property
    def plain(self) -> str:
        """Everything that was ever written, without escape sequences."""
        return _ESCAPE.sub(b"", bytes(self.raw)).decode(errors="replace")

    def number(self, pattern: str) -> int:
        """Returns the figure that the group of `pattern` finds on the screen; -1 without one."""
        found = re.search(pattern, self.text)
        return int(re.sub(r"\D", "", found[1])) if found else -1

    def comes_to(self, condition: Callable[[], object], seconds: float) -> bool:
        """Takes in output until the condition holds, and tells whether it did within that time."""
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._take_in(min(left, 0.05))
        return True

    def wait_for(self, condition: Callable[[], object], *, why: str = "") -> None:
        """Takes in output until the condition holds; otherwise fails with the screen and stacks."""
        if not self.comes_to(condition, PATIENCE):
            shown = self.text
            pytest.fail(f"{in_vain(why)}:\n{shown}\n{self._stacks()}", pytrace=False)

    def wait_for_text(self, *words: str) -> None:
        """Waits until all of these stand on the screen."""
        self.wait_for(lambda: all(word in self.text for word in words), why=" and ".join(words))

    def wait_for_exit(self) -> int:
        """Waits for the program to end and returns its status, negative for a signal."""
        self.wait_for(lambda: self.process.poll() is not None, why="the end")
        self.take_rest()
        assert self.process.returncode is not None
        return self.process.returncode

    def take_rest(self) -> None:
        """Takes in what has been written already."""
        while self._take_in(0.0):
            pass

    @property
    def mode(self) -> list[Any]:
        """The terminal's mode (raw, cooked) now."""
        return termios.tcgetattr(self.slave)

    # --- inside -----------------------------------------------------------------------------------

    def _stacks(self) -> str:
        """Ends the program, and returns where each of its threads was (``PYTHONFAULTHANDLER``)."""
        if self.process.poll() is not None:
            return f"it has ended with {self.process.returncode}"
        before = len(self.raw)
        self.process.send_signal(signal.SIGABRT)
        self.comes_to(lambda: self.process.poll() is not None, PATIENCE / 10)
        self.take_rest()
        said = _ESCAPE.sub(b"", bytes(self.raw[before:])).decode(errors="replace")
        return said[said.find("Fatal Python error") :]

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _take_in(self, seconds: float) -> bool:
        """Waits so long for output and shows it; tells whether there was any."""
        if not self.master_is_open:
            time.sleep(min(seconds, 0.01))
            return False
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        data = self._pending + data
        cut = _CUT_SHORT.search(data)
        whole = data[: cut.start()] if cut else data
        self._pending = data[len(whole) :]
        self._stream.feed(self._decoder.decode(_STRANGE_TO_PYTE.sub(b"", whole)))
        return bool(data)


# --- bytes on the wire ----------------------------------------------------------------------------


def screen_after(raw: bytes, columns: int, rows: int) -> str:
    """Returns what a screen shows after these bytes, as lines."""
    screen = Screen(columns, rows)
    pyte.Stream(screen).feed(_STRANGE_TO_PYTE.sub(b"", raw).decode(errors="replace"))
    return "\n".join(screen.display)


def escape_sequences(raw: bytes) -> set[bytes]:
    """Returns the distinct escape sequences among the bytes."""
    return set(_ESCAPE.findall(raw))


def control_bytes_outside_escapes(raw: bytes) -> set[int]:
    """Returns the control codes, of one byte or of two in UTF-8, that are no escape sequence's."""
    text = _ESCAPE.sub(b"", raw).decode(errors="replace")
    return {ord(sign) for sign in text if ord(sign) < 0x20 or 0x7F <= ord(sign) <= 0x9F}


MODES_TO_LEAVE = (b"?1049l", b"?25h", b"?1000l", b"?1003l", b"?2004l")


def assert_terminal_restored(terminal: Terminal) -> None:
    """Asserts that the shell gets its terminal back: modes off, cursor shown, lines cooked."""
    raw = bytes(terminal.raw)
    for mode in MODES_TO_LEAVE:
        off = raw.rfind(b"\x1b[" + mode)
        on = raw.rfind(b"\x1b[" + mode[:-1] + (b"l" if mode.endswith(b"h") else b"h"))
        assert off > on, f"{mode!r} was not the last word"
    assert terminal.mode == terminal.mode_before


# --- places and texts -----------------------------------------------------------------------------


def make_environment(home: Path, **changes: str) -> dict[str, str]:
    """Returns an environment in which nothing outside `home` is read as a setting or written.

    The cache of `home` remembers that torch can be imported, so a program does not try it first.
    """
    if "CHARLM_CACHE" not in changes:
        remember_torch(home / "cache" / NAME)
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "CHARLM_CHECKPOINTS": str(home / "runs"),
        "PYTHONFAULTHANDLER": "1",
        **changes,
    }


def remember_torch(cache: Path) -> None:
    """Writes down in a cache folder that torch can be imported, as these tests themselves show."""
    digest = torch_import._digest()
    assert digest is not None
    (cache / torch_import.FOLDER).mkdir(parents=True, exist_ok=True)
    (cache / torch_import.FOLDER / digest).touch()


def make_words(characters: int = 6000) -> str:
    """Returns sentences without much sense, the same every time."""
    words = [
        "the",
        "old",
        "man",
        "went",
        "down",
        "to",
        "river",
        "and",
        "saw",
        "a",
        "white",
        "bird",
        "on",
        "his",
        "boat",
    ]
    state, lines, length = 7, [], 0
    while length < characters:
        line = []
        for _ in range(11):
            state = (state * 1103515245 + 12345) % 2**31
            line.append(words[(state >> 16) % len(words)])
        lines.append(" ".join(line).capitalize() + ".")
        length += len(lines[-1]) + 1
    return "\n".join(lines)[:characters]


def checkpoint_steps(runs: Path) -> list[int]:
    """Returns the steps of all checkpoints under a folder of runs, in order."""
    found = (STEPS.fullmatch(path.name) for path in runs.glob("*/step-*.safetensors"))
    return sorted(int(match[1]) for match in found if match)


def assert_saved_at_the_end(runs: Path, *, at_least: int) -> None:
    """Asserts that the last finished step is the last checkpoint, and that it loads."""
    folder = RunFolder.find(runs, None)
    finished = last_event(folder)
    assert finished["event"] == "finished"
    assert finished["reason"] == "stopped"
    assert finished["step"] >= at_least
    warnings: list[str] = []
    checkpoint = folder.checkpoints.load_latest(warnings.append)
    assert checkpoint.metadata.step == finished["step"] == checkpoint_steps(runs)[-1]
    assert not warnings
    assert not [path for path in folder.path.iterdir() if ".tmp-" in path.name]
    assert not folder.is_being_written()


def wait_for_steps(app: Terminal) -> int:
    """Waits until the app's screen shows a step, and returns it."""
    app.wait_for_text("TRAINING")
    app.wait_for(lambda: app.number(STEP) > 0, why="steps")
    return app.number(STEP)


def wait_until_stalled(app: Terminal) -> None:
    """Takes nothing in until the terminal holds all that it can, so that a writer must wait."""
    for _ in moments("a terminal that is full"):
        if not select.select([], [app.slave], [], 0)[1]:
            return


def last_event(folder: RunFolder) -> dict[str, Any]:
    return folder.record.read_lines("metrics.jsonl")[-1]


def name_of(number: int) -> str:
    """Returns the name of a signal, to call a test by."""
    return signal.Signals(number).name


def is_alive(process_id: int) -> bool:
    """Tells whether there is such a process that is not a zombie."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8")
        return state.rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc/self/stat").exists()


def processor_seconds(process_id: int) -> dict[int, float]:
    """Returns the processor time that each thread of a process has used (Linux)."""
    used: dict[int, float] = {}
    for path in Path(f"/proc/{process_id}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            fields = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            used[int(path.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used
