"""Damages checkpoints in every way there is and counts what reading them does. A script.

Arguments: a folder, how many, a seed. The last line that it prints is JSON. It has a process of its
own so that its memory can be measured.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from damages import DAMAGES, Forger
from model_fixtures import make_training_checkpoint

from model.errors import CheckpointError
from model.runs.checkpoint_file import read_checkpoint, read_metadata, write_checkpoint

LONGEST_MESSAGE = 200


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def peak_megabytes() -> float:
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def main() -> None:
    root, count, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    path, canary = root / "step-00000001.safetensors", root / "canary"
    write_checkpoint(path, make_training_checkpoint())
    good = path.read_bytes()
    read_checkpoint(path)
    found: Counter[str] = Counter()
    troubles: list[Any] = []
    longest, before = 0.0, peak_megabytes()
    for number in range(count):
        clear(path)
        damage = DAMAGES[number % len(DAMAGES)]
        damage(Forger(path=path, good=good, random=chance, canary=canary))
        began = time.process_time()
        for read in (read_metadata, read_checkpoint):
            try:
                read(path)
            except CheckpointError as error:
                said = str(error)
                if "\n" in said or len(said) - len(str(path)) > LONGEST_MESSAGE or not error.remedy:
                    troubles.append([damage.__name__, "message", said])
                outcome = "refused"
            except BaseException as error:  # noqa: BLE001 - whatever else is a finding
                troubles.append([damage.__name__, read.__name__, repr(error)])
                outcome = "crashed"
            else:
                outcome = "loaded"
                if read is read_checkpoint:
                    troubles.append([damage.__name__, "loaded"])
            if read is read_checkpoint:
                found[outcome] += 1
        longest = max(longest, time.process_time() - began)
        found["code_run"] += canary.exists()
    print(
        json.dumps(
            {
                **found,
                "troubles": troubles[:20],
                "kinds": len(DAMAGES),
                "longest_seconds": round(longest, 3),
                "megabytes_more": round(peak_megabytes() - before, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
