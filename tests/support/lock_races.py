"""Several processes that want one run at once, round after round. A script that forks.

Arguments: a folder, what to try, how many processes, how many rounds. The last line is JSON.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from corpus import UserError
from model.runs import lock as run_lock
from model.runs.folder import RunFolder

NAME = "one"


def start_together(root: Path, rounds: int, barrier: Any) -> Counter[str]:
    """All create the run at the same moment; the winner's description must stay its own."""
    counts: Counter[str] = Counter()
    for number in range(rounds):
        barrier.wait()
        folder = created(root, counts)
        if folder is not None:
            folder.write_description({"process": os.getpid(), "round": number})
            counts[f"won {number}"] += 1
        barrier.wait()
        if folder is not None:
            counts["lost"] += folder.description() != {"process": os.getpid(), "round": number}
            folder.unlock()
            counts["not deleted"] += bool(folder.delete()) or folder.path.exists()
    return counts


def lock_once(root: Path, number: int, barrier: Any, counts: Counter[str]) -> None:
    """Locks the saved run if it can, and lets go once all have tried."""
    folder = RunFolder(root / NAME)
    try:
        folder.lock()
        counts[f"won {number}"] += 1
    except UserError as error:
        counts["refused"] += "in use by" in str(error)
    barrier.wait()
    folder.unlock()


def resume_together(root: Path, rounds: int, barrier: Any) -> Counter[str]:
    """All lock a saved run at the same moment."""
    counts: Counter[str] = Counter()
    for number in range(rounds):
        barrier.wait()
        lock_once(root, number, barrier, counts)
    return counts


def give_up(root: Path, rounds: int, barrier: Any) -> Counter[str]:
    """All begin the run and give it up, over and over; whoever has it must keep its file."""
    counts: Counter[str] = Counter()
    barrier.wait()
    while counts["begun"] < rounds:
        folder = created(root, counts)
        if folder is None:
            continue
        mine = {"process": os.getpid(), "number": counts["begun"]}
        folder.write_description(mine)
        counts["begun"] += 1
        os.sched_yield()
        try:
            counts["lost"] += folder.description() != mine
        except UserError:
            counts["lost"] += 1
        folder.remove_new()
    return counts


def created(root: Path, counts: Counter[str]) -> RunFolder | None:
    try:
        return RunFolder.create(root, NAME, fallback_name="")
    except UserError as error:
        expected = any(words in str(error) for words in ("in use by", "this run exists"))
        counts["refused" if expected else f"said: {error}"] += 1
        return None


def look(root: Path, rounds: int, barrier: Any) -> Counter[str]:
    """The first locks and unlocks; the others look as often as they can, until it is done."""
    counts: Counter[str] = Counter()
    folder = RunFolder(root / NAME)
    done = root / "done"
    leads = barrier.wait() == 0
    if not leads:
        while not done.exists():
            for _ in range(20):
                counts["looks"] += folder.is_being_written() is not None
        return counts
    for _ in range(rounds):
        try:
            folder.lock()
            counts["locked"] += 1
            folder.unlock()
        except UserError:
            counts["refused by a look"] += 1
    done.touch()
    return counts


def beside_a_look_without_end(root: Path, rounds: int, barrier: Any) -> Counter[str]:
    """All lock a run whose lock another account keeps looking at; exactly one must get it."""
    run_lock._SECONDS_FOR_LOOKS = 0.02  # type: ignore[misc]
    counts: Counter[str] = Counter()
    for number in range(rounds):
        if barrier.wait() == 0:
            path = root / NAME / ".lock"
            path.unlink(missing_ok=True)
            path.touch(0o644)
            looking = path.open("rb")
            fcntl.flock(looking, fcntl.LOCK_SH)
        barrier.wait()
        lock_once(root, number, barrier, counts)
    return counts


WAYS = {
    way.__name__: way
    for way in (start_together, resume_together, give_up, look, beside_a_look_without_end)
}


def main() -> None:
    root, way = Path(sys.argv[1]), WAYS[sys.argv[2]]
    count, rounds = int(sys.argv[3]), int(sys.argv[4])
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(count), context.SimpleQueue()

    def race() -> None:
        try:
            results.put(dict(way(root, rounds, barrier)))
        except BaseException:
            barrier.abort()
            results.put({"failed": 1})
            raise

    processes = [context.Process(target=race) for _ in range(count)]
    for process in processes:
        process.start()
    total: Counter[str] = Counter()
    for _ in processes:
        total.update(results.get())
    for process in processes:
        process.join()
        total["failed"] += process.exitcode != 0
    print(json.dumps(total))


if __name__ == "__main__":
    main()
