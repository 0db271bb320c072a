"""Kills a training with SIGKILL again and again, and counts what each start finds. A script.

Arguments: a folder, how many kills, a seed. The last line that it prints is JSON.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import forked
from model_fixtures import make_request, make_text
from patience import PATIENCE

from corpus.files.atomic_file import TEMPORARY_MARK
from model.errors import CheckpointError
from model.events import CheckpointSaved, RunStarted, StepFinished
from model.runs.checkpoint import Checkpoint
from model.runs.folder import RunFolder
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

SECONDS_BETWEEN_SAVES = 0.05
SECONDS_TO_SYNC = 0.01
"""Of a slow disk: on a quick one hardly a kill would come while a file is written."""
TEXT = make_text(20_000)


def train(root: Path, tell: Callable[[str], None]) -> None:
    """Trains until it is killed, going on where there is a checkpoint; tells what it did."""
    slow_down_syncing()
    begun = RunFolder(root / "runs" / "tiny").checkpoints.paths() != []
    request = make_request(
        root,
        text=TEXT,
        resume=begun,
        epochs=1_000_000,
        checkpoint_every=SECONDS_BETWEEN_SAVES,
    )
    for event in TrainingRun(request, TrainingControls()).events():
        if isinstance(event, RunStarted):
            tell("began")
        elif isinstance(event, StepFinished):
            tell(f"step {event.step} {event.time}")
        elif isinstance(event, CheckpointSaved):
            tell(f"saved {event.step} {event.time}")


def slow_down_syncing() -> None:
    """Makes this process's disk a slow one."""
    sync = os.fsync

    def fsync(file: int) -> None:
        time.sleep(SECONDS_TO_SYNC)
        sync(file)

    os.fsync = fsync  # type: ignore[assignment]


class KillLoop:
    """One run, killed many times."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.folder = RunFolder(root / "runs" / "tiny")
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.most_seconds_lost = 0.0
        self.acknowledged = 0
        """The newest step of which it was said that it is saved."""

    def kill_once(self) -> None:
        process, reading = forked.begin(lambda tell: train(self.root, tell))
        told = b""
        # One in four is killed while it starts, the others while they train and save.
        if self.random.random() < 0.25:
            time.sleep(self.random.uniform(0.0, 0.06))
        else:
            saves = self.random.randrange(3)
            while b"began\n" not in told or told.count(b"saved") < saves:
                ready, _, _ = select.select([reading], [], [], PATIENCE)
                piece = os.read(reading, 65536) if ready else b""
                if not piece:
                    raise RuntimeError("a child did not go on")
                told += piece
            self._look_for_stale_files(process)
            time.sleep(self.random.uniform(0.0, 1.5 * SECONDS_BETWEEN_SAVES))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        with os.fdopen(reading, "rb") as rest:
            told += rest.read()
        self.counts["kills"] += 1
        self._judge(told.decode().splitlines())

    def _look_for_stale_files(self, process: int) -> None:
        """Counts temporary files of earlier children; this one may be writing its own."""
        names = self._names()
        stale = [n for n in names if TEMPORARY_MARK in n and not n.endswith(f"-{process}")]
        self.counts["stale_after_restart"] += len(stale)
        self.counts["restarts"] += 1

    def _judge(self, told: list[str]) -> None:
        words = [line.split() for line in told if line.endswith(tuple("0123456789"))]
        steps = [(int(w[1]), float(w[2])) for w in words if w[0] == "step" and len(w) == 3]
        saved = [int(w[1]) for w in words if w[0] == "saved"]
        self.acknowledged = max([self.acknowledged, *saved])
        self.counts["within_a_save"] += any(TEMPORARY_MARK in name for name in self._names())
        self.counts["saves"] += len(saved)
        if not self.folder.checkpoints.paths():
            self.counts["before_first_checkpoint"] += 1
            self.counts["unreadable"] += self.acknowledged > 0
            return
        checkpoint = self._load()
        if checkpoint is None:
            return
        self.counts["older_than_acknowledged"] += checkpoint.metadata.step < self.acknowledged
        if steps and steps[-1][0] > checkpoint.metadata.step:
            lost = steps[-1][1] - checkpoint.metadata.seconds
            self.most_seconds_lost = max(self.most_seconds_lost, lost)

    def _names(self) -> list[str]:
        path = self.folder.path
        return [entry.name for entry in path.iterdir()] if path.is_dir() else []

    def _load(self) -> Checkpoint | None:
        warnings: list[str] = []
        try:
            checkpoint = self.folder.checkpoints.load_latest(warnings.append)
        except CheckpointError:
            self.counts["unreadable"] += 1
            return None
        self.counts["damaged_newest"] += bool(warnings)
        return checkpoint

    def repeated_steps(self) -> int:
        """Starts once more, and counts the steps that the run's file then tells twice."""
        process, reading = forked.begin(lambda tell: train(self.root, tell))
        with os.fdopen(reading, encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("saved"):
                    break
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        lines_of = self.folder.record.read_lines("metrics.jsonl")
        steps = [record["step"] for record in lines_of if record["event"] == "step"]
        return sum(later <= earlier for earlier, later in pairwise(steps))


def main() -> None:
    root, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    forked.warm_up()
    loop = KillLoop(root, seed)
    for _ in range(kills):
        loop.kill_once()
    repeated = loop.repeated_steps()
    found = {**loop.counts, "repeated_steps": repeated, "last_step": loop.acknowledged}
    print(json.dumps({**found, "most_seconds_lost": round(loop.most_seconds_lost, 3)}))


if __name__ == "__main__":
    main()
