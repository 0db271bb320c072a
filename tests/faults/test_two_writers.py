"""Two processes, one run: the second is refused, says whom to wait for, and harms nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import forked
from patience import PATIENCE
from terminal_harness import LONG, make_environment, make_words


def test_a_second_process_on_one_run_ends_with_status_5(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text(make_words(8000), encoding="utf-8")
    environment = {**make_environment(tmp_path), "PYTHONPATH": str(forked.ROOT)}
    train = [sys.executable, "-m", "tui", "train", "--json", "--checkpoints", "runs"]
    first = subprocess.Popen(
        [*train, "words.txt", "--run", "one", *LONG, "--checkpoint-every", "1"],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout is not None
        assert first.stderr is not None
        saved = 0
        for line in first.stdout:
            saved += json.loads(line)["event"] == "checkpoint"
            if saved == 2:
                break
        temporary = tmp_path / "runs" / "one" / ".step-99999999.safetensors.tmp-1"
        temporary.write_bytes(b"as if it were being written")
        second = subprocess.run(
            [*train, "--resume", "--run", "one"],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 5, second.stderr
        assert second.stdout == ""
        assert second.stderr.count("\n") == 1
        assert f"is in use by process {first.pid}; wait for it to end" in second.stderr
        assert temporary.exists(), "what the first may be writing is left alone"
        assert first.poll() is None
        first.terminate()
        rest, complaint = first.communicate(timeout=PATIENCE)
        assert first.returncode == 128 + 15, complaint
        assert json.loads(rest.splitlines()[-1])["event"] == "finished"
    finally:
        first.kill()
        first.communicate()
