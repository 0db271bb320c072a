"""Saves checkpoints one after the other, to be watched by strace. A script.

Arguments: a run folder, a folder for copies, how many. A line on stdout begins and ends each save.
The copies are taken because safetensors does not write the same bytes twice.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from model_fixtures import make_checkpoint

from model.runs.folder import RunFolder


def main() -> None:
    folder = RunFolder(Path(sys.argv[1]))
    folder.lock()
    for step in range(1, int(sys.argv[3]) + 1):
        os.write(1, f"save {step}\n".encode())
        path = folder.checkpoints.save(make_checkpoint(step, nats=1.0 / step, seed=step))
        os.write(1, f"saved {step}\n".encode())
        shutil.copy(path, sys.argv[2])


if __name__ == "__main__":
    main()
