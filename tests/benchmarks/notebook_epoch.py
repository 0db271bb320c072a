"""Measures the notebook's first epoch against this program: how soon is its loss reached?

    python tests/benchmarks/notebook_epoch.py nietzsche.txt [--seconds 1.5 2 3 4 6] [--seeds 1 2 3]
        [--keras PYTHON] [-- OPTION...]

The text is lower-cased and its last twentieth held out. Ours is `charlm-tui train --minutes`, a run
of its own for each number of seconds, with the options behind `--`. Keras 3 with TensorFlow is
measured with the interpreter that has them: one `fit` of the classic recipe on all windows of the
same text, its loss on the held-out part beside it. Not a test; it wants an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from recipe_figures import charlm

ROOT = Path(__file__).resolve().parents[2]
HELD_OUT = 0.05
STRIDE = 3


def ours(text: Path, seconds: float, seed: int, options: Sequence[str]) -> tuple[float, int]:
    """Returns the best validation loss of a training of so many seconds, and its steps."""
    with tempfile.TemporaryDirectory() as folder:
        finished = charlm(
            *("train", str(text), "--lowercase", "--validation-fraction", str(HELD_OUT)),
            *("--minutes", str(seconds / 60), "--seed", str(seed), "--checkpoints", folder),
            *options,
        )[-1]
    return finished["best_nats_per_character"], finished["step"]


def keras_epoch(text: Path) -> dict[str, float]:
    """Returns the seconds of the notebook's first epoch and its held-out loss; needs Keras."""
    import numpy as np

    from model.bench.keras import BATCH, WINDOW, notebook_model

    characters = text.read_text(encoding="utf-8").lower()
    symbols = sorted(set(characters))
    number = {symbol: index for index, symbol in enumerate(symbols)}
    ids = np.array([number[symbol] for symbol in characters])
    identity = np.eye(len(symbols), dtype=bool)
    border = round(len(ids) * (1 - HELD_OUT))

    def windows(
        part: np.ndarray[tuple[int], np.dtype[np.int64]], stride: int
    ) -> tuple[object, ...]:
        starts = np.arange(0, len(part) - WINDOW, stride)
        return identity[part[starts[:, None] + np.arange(WINDOW)]], identity[part[starts + WINDOW]]

    network = notebook_model(len(symbols))
    inputs, targets = windows(ids[:border], STRIDE)
    began = time.perf_counter()
    network.fit(inputs, targets, batch_size=BATCH, epochs=1, verbose=0)
    seconds = time.perf_counter() - began
    nats = network.evaluate(*windows(ids[border:], 1), batch_size=1024, verbose=0)
    return {"seconds": seconds, "nats": float(nats)}


def main() -> None:
    """Prints both."""
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, options = arguments[:place], arguments[place + 1 :]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.5, 2, 3, 4, 6])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--keras", help="an interpreter that has Keras and TensorFlow")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.here:
        print(json.dumps(keras_epoch(chosen.text)))
        return
    if chosen.keras:
        done = subprocess.run(
            [chosen.keras, __file__, str(chosen.text), "--here"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        epoch = json.loads(done.stdout.splitlines()[-1])
        print(
            f"Keras, one epoch: {epoch['seconds']:.1f} s (a sixtieth: "
            f"{epoch['seconds'] / 60:.2f} s), {epoch['nats']:.3f} nats held out",
            flush=True,
        )
    for seconds in chosen.seconds:
        found = [ours(chosen.text, seconds, seed, options) for seed in chosen.seeds]
        nats = [loss for loss, _ in found]
        print(
            f"ours, {seconds:g} s: {statistics.median(nats):.3f} nats "
            f"({min(nats):.3f} to {max(nats):.3f}; {[step for _, step in found]} steps)",
            flush=True,
        )


if __name__ == "__main__":
    main()
