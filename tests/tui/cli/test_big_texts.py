"""The program on texts that no string should hold: time, memory, and the cache. Real processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE, moments
from terminal_harness import PROGRAM, TINY, make_environment, make_words

from model.system import torch_import

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
MOST_MEMORY = 1_300_000_000
EMOJI = "\U0001f600"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of ``train --json``, until the first step or a later event."""

    events: list[dict[str, Any]]
    seconds: float
    """From the start of the process to its first step."""
    peak: int
    """Bytes of resident memory, the most so far."""


def write_text(path: Path, size: int, end: str = "") -> None:
    """Writes a text of so many bytes, its last character perhaps another one."""
    words = make_words(1 << 20).encode()
    with path.open("wb") as file:
        left = size - len(end.encode())
        while left > 0:
            file.write(words[:left])
            left -= len(words)
        file.write(end.encode())
    # Its times have to be older than the program trusts them to be.
    for _ in moments():
        if time.time() - path.stat().st_ctime > 2.1:
            return


def start(home: Path, text: Path, *, until: str = "step") -> Start:
    command = [PROGRAM, "train", str(text), "--json", *TINY]
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=make_environment(home), stdout=subprocess.PIPE, text=True
    )
    events, seconds = [], 0.0
    assert process.stdout is not None
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "step" and not seconds:
            seconds = time.monotonic() - began
        if events[-1]["event"] == until:
            break
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    return Start(events=events, seconds=seconds, peak=int(peak[1]) * 1024)


def kept(home: Path) -> list[Path]:
    return sorted((home / "cache" / "charlm-tui" / "texts").glob("*.ids"))


def test_50_megabytes_with_one_emoji_are_trained_on_in_little_memory(tmp_path: Path) -> None:
    write_text(tmp_path / "text", 50_000_000, EMOJI)
    first = start(tmp_path, tmp_path / "text")
    assert first.events[0]["characters"] == 50_000_000 - 3
    assert first.peak < MOST_MEMORY
    (file,) = kept(tmp_path)
    assert 49_999_997 < file.stat().st_size < 50_100_000


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("end", ["", EMOJI], ids=["letters", "one emoji"])
def test_a_gigabyte_starts_in_a_minute_and_then_in_seconds(tmp_path: Path, end: str) -> None:
    write_text(tmp_path / "text", 1_000_000_000, end)
    try:
        first = start(tmp_path, tmp_path / "text", until="validation")
        second = start(tmp_path, tmp_path / "text")
        # A machine that is busy is slow, so these are told, and only the work is checked.
        print(f"first step after {first.seconds:.1f} s and {second.seconds:.1f} s; "
              f"peak {first.peak / 1e6:.0f} MB and {second.peak / 1e6:.0f} MB")  # fmt: skip
        assert max(first.peak, second.peak) < MOST_MEMORY
        assert len(kept(tmp_path)) == 1
        assert first.events[0]["characters"] == second.events[0]["characters"] > 999_000_000
        assert second.seconds < first.seconds
    finally:
        (tmp_path / "text").unlink()
        for path in kept(tmp_path):
            path.unlink()


def test_an_interrupt_while_a_text_is_encoded_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "train", "-", *TINY],
        env=make_environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    words = make_words(1 << 20).encode()
    for _ in range(20):  # more than is kept in memory
        process.stdin.write(words)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT
    files = {path for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert {path.parent.name for path in files} <= {torch_import.FOLDER}
    assert not (tmp_path / "runs").exists()
