"""Measures what docs/figures.md says of the app: a real program in a real pseudo-terminal.

    python tests/benchmarks/app_figures.py TEXT [--runs 5]

Not a test: it passes no judgement. It wants an otherwise idle machine and prints, for each figure,
the median of its runs and the least and the most of them.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "support"))
from terminal_harness import screen_after

OPTIONS = ["--lowercase", "--validation-fraction", "0.05", "--epochs", "100", "--seed", "1"]
COUNT = re.compile(r"60 char/s · ([0-9\s]+) characters")
PRESSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What came through the terminal in a while."""

    characters: int
    bytes: int
    seconds: float


class Program:
    """A command in a pseudo-terminal, with everything it wrote and when."""

    def __init__(
        self,
        arguments: Sequence[str],
        checkpoints: Path,
        *,
        command: Sequence[str] = ("-m", "tui"),
        size: tuple[int, int] = (80, 24),
    ) -> None:
        self.began = time.monotonic()
        self.output = bytearray()
        self._size = size
        pid, self._master = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LC_ALL="C.UTF-8")
            os.environ["CHARLM_CHECKPOINTS"] = str(checkpoints)
            os.execv(sys.executable, [sys.executable, *command, *arguments])
        self.pid = pid
        window = struct.pack("HHHH", size[1], size[0], 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, window)

    def read(self, seconds: float) -> bytes:
        """Returns what arrives within so many seconds, waiting no longer than for the first."""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        with contextlib.suppress(OSError):
            chunk = os.read(self._master, 65536)
            self.output += chunk
            return chunk
        return b""

    def read_for(self, seconds: float) -> int:
        """Reads for so long; returns the number of bytes."""
        before, end = len(self.output), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)
        return len(self.output) - before

    def wait(self, seen: Callable[[bytes], bool], seconds: float = 60.0) -> float:
        """Reads until ``seen`` holds for what was read since the call; returns seconds waited."""
        began, start = time.monotonic(), len(self.output)
        while not seen(bytes(self.output[start:])):
            if time.monotonic() - began > seconds:
                raise TimeoutError(bytes(self.output[-2000:]))
            self.read(0.5)
        return time.monotonic() - began

    def watch(self, seconds: float) -> Traffic:
        """Reads for about so long, from one change of the shown count to another."""
        first, start, began = self._next_count()
        self.read_for(seconds)
        last, end, ended = self._next_count()
        return Traffic(characters=last - first, bytes=end - start, seconds=ended - began)

    def _next_count(self) -> tuple[int, int, float]:
        """Waits until the shown count changes; returns it, the bytes so far and the time.

        A toast may lie upon it for some seconds.
        """
        changed = f"\x1b[{self._size[1] - 1};".encode()  # the row below the text
        for _ in range(30):
            self.wait(lambda seen: changed in seen)
            bytes_so_far, now = len(self.output), time.monotonic()
            self.read_for(0.2)  # the rest of the frame
            found = COUNT.search(screen_after(bytes(self.output), *self._size))
            if found:
                return int(re.sub(r"\D", "", found[1])), bytes_so_far, now
        raise TimeoutError("the screen shows no count of characters")

    def send(self, keys: bytes) -> None:
        """Types."""
        os.write(self._master, keys)

    def end(self) -> None:
        """Ends the program and reads what it still says."""
        os.kill(self.pid, signal.SIGTERM)
        while True:
            self.read(0.1)
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                break
        os.close(self._master)


def has_text(output: bytes) -> bool:
    """Returns whether a character of the model is on the screen, before the cursor block."""
    plain = re.sub(rb"\x1b\[[^a-zA-Z]*[a-zA-Z]", b"", output)
    return re.search(rb"[!-~]\xe2\x96\x8c", plain) is not None


def metrics(checkpoints: Path) -> list[dict[str, Any]]:
    """Returns the events of the one run in a folder."""
    events: list[dict[str, Any]] = []
    for path in checkpoints.glob("*/metrics.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
    return events


def steps_per_second(events: list[dict[str, Any]], first: float, last: float) -> float:
    """Returns the pace between two moments of a run, validations and saves included."""
    steps = [e for e in events if e["event"] == "step" and first <= e["time"] <= last]
    if len(steps) < 2:
        return float("nan")
    return float((steps[-1]["step"] - steps[0]["step"]) / (steps[-1]["time"] - steps[0]["time"]))


def measure_start(text: str) -> dict[str, float]:
    """Measures one run of 30 s: first frame, first character, validation, bytes, keys."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder)
        program = Program([text, *OPTIONS], checkpoints)
        frame = program.wait(lambda seen: b"Writing" in seen and b"Quit" in seen)
        program.wait(has_text)
        first_character = time.monotonic() - program.began
        program.read_for(10 - first_character)
        total = program.watch(16)
        program.read_for(program.began + 30 - time.monotonic())
        losses = [
            e["nats_per_character"] for e in metrics(checkpoints) if e["event"] == "validation"
        ]
        program.send(b"p")
        program.read_for(3)
        pane = program.watch(16)
        program.send(b"p")
        delays = []
        for press in range(PRESSES):
            wanted = b"%.2f" % (1.0 + 0.05 * (press + 1))
            program.send(b"+")
            delays.append(program.wait(lambda seen, wanted=wanted: wanted in seen))  # type: ignore[misc]
            program.read_for(0.13)
        program.end()
    return {
        "first frame, s": frame,
        "first character, s": first_character,
        "validation at 30 s, nats": min(losses, default=float("nan")),
        "all panes, kB/s": total.bytes / total.seconds / 1000,
        "streamed, characters/s": total.characters / total.seconds,
        "writing pane, bytes/character": pane.bytes / pane.characters,
        "temperature key, median ms": statistics.median(delays) * 1000,
        "temperature key, slowest ms": max(delays) * 1000,
    }


def measure_share(text: str, seconds: float = 20.0) -> dict[str, float]:
    """Measures training beside the streaming app against ``train``, one after the other."""
    paces = []
    for headless in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Path(folder)
            if headless:
                environment = {**os.environ, "CHARLM_CHECKPOINTS": folder}
                command = [sys.executable, "-m", "tui", "train", text, *OPTIONS, "--json"]
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
                time.sleep(seconds + 6)
                process.terminate()
                process.wait()
            else:
                program = Program([text, *OPTIONS], checkpoints)
                program.read_for(seconds + 6)
                program.end()
            paces.append(steps_per_second(metrics(checkpoints), 2.0, seconds))
    return {
        "train, steps/s": paces[0],
        "app, steps/s": paces[1],
        "app / train": paces[1] / paces[0],
    }


def main() -> None:
    """Runs all measurements and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=["start", "share"])
    arguments = parser.parse_args()
    text = str(Path(arguments.text).resolve())
    for name, measure in (("start", measure_start), ("share", measure_share)):
        if arguments.only in {None, name}:
            results = [measure(text) for _ in range(arguments.runs)]
            for figure in results[0]:
                values = sorted(result[figure] for result in results)
                print(
                    f"{figure:32} {statistics.median(values):9.3f}   "
                    f"({values[0]:.3f} to {values[-1]:.3f}, {len(values)} runs)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
