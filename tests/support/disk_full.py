"""Trains on a disk that is full whenever a checkpoint is this or that far written. A script.

Arguments: a folder, at how many offsets, and `limit` (a limit on the size of files) or `full` (the
folder lies on a small file system of its own, which is filled up). The last line that it prints is
JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from model_fixtures import make_request

from corpus.files.atomic_file import TEMPORARY_MARK
from model.config import ModelConfig
from model.events import CheckpointSaved, Event, SaveFailed, StepFinished
from model.runs.folder import RunFolder
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

NoRoom = Callable[[int], AbstractContextManager[None]]


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Lets no file grow beyond a size; Python ignores the signal that would end it for that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def filled(folder: Path) -> NoRoom:
    """Returns what fills the file system of a folder but for some bytes."""

    @contextmanager
    def fill(room: int) -> Iterator[None]:
        filler = folder / "filler"
        status = os.statvfs(folder)
        with filler.open("wb") as file:
            file.write(bytes(max(0, status.f_bavail * status.f_frsize - room)))
        try:
            yield
        finally:
            filler.unlink()

    return fill


class Trial:
    """One training, saved again and again, with and without room."""

    def __init__(self, root: Path, no_room: NoRoom) -> None:
        request = make_request(
            root,
            model=ModelConfig(hidden=48, embedding=4),
            epochs=1_000_000,
            validation_fraction=0.0,
        )
        self.controls = TrainingControls()
        self.folder = RunFolder(root / "runs" / "tiny")
        self.counts: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self._events = TrainingRun(request, self.controls).events()
        self._no_room = no_room

    def until(self, kind: type[Event]) -> Event:
        return next(event for event in self._events if isinstance(event, kind))

    def save(self) -> Event:
        self.controls.save()
        return next(e for e in self._events if isinstance(e, CheckpointSaved | SaveFailed))

    def at_offset(self, share: float) -> None:
        """Saves, finds no room for more than a share of the next save, and room again."""
        self.until(StepFinished)
        assert isinstance(self.save(), CheckpointSaved)
        newest = self.folder.checkpoints.paths()[-1]
        before = {path.name: path.read_bytes() for path in self.folder.checkpoints.paths()}
        self.until(StepFinished)
        with self._no_room(int(share * newest.stat().st_size)):
            failed = self.save()
            self.counts["failed"] += isinstance(failed, SaveFailed)
            if isinstance(failed, SaveFailed):
                self.causes[failed.sentence.rpartition("(")[2].rstrip(")")] += 1
            after = {path.name: path.read_bytes() for path in self.folder.checkpoints.paths()}
            left = [p.name for p in self.folder.path.iterdir() if TEMPORARY_MARK in p.name]
            self.counts["temporary_left"] += len(left)
            loaded = self.folder.checkpoints.load_latest(_fail)
            intact = before == after and f"{loaded.metadata.step:08d}" in newest.name
            self.counts["intact"] += intact
            for _ in range(3):
                self.until(StepFinished)
            self.counts["went_on"] += 1
        self.counts["saved_again"] += isinstance(self.save(), CheckpointSaved)

    def end(self) -> None:
        self.controls.abandon()
        for _ in self._events:
            pass


def _fail(warning: str) -> None:
    raise AssertionError(warning)


def main() -> None:
    root, offsets, way = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    trial = Trial(root, limited if way == "limit" else filled(root))
    for number in range(offsets):
        trial.at_offset((number + 0.5) / offsets)
    trial.end()
    lines = (trial.folder.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines:
        json.loads(line)
    print(json.dumps({**trial.counts, "causes": trial.causes, "lines": len(lines)}))


if __name__ == "__main__":
    main()
