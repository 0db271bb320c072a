"""Measures the tables of docs/recipes.md: presets x texts x training times.

    python tests/benchmarks/recipe_figures.py TEXT... [--seconds 10 60 300 900]
        [--presets quick ...] [--seeds 1] [--results FILE]

Each cell is a run of its own, for its schedule ends with its time: `charlm-tui train`, then
`charlm-tui evaluate`, last tenth held out. Not a test: it passes no judgement. It wants an
otherwise idle machine. Results are appended to FILE as they come, and cells that FILE already has
are not measured again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PRESETS = ["auto", "quick", "balanced", "quality", "thorough", "overnight"]


def charlm(*arguments: str) -> list[dict[str, Any]]:
    """Returns the JSON lines that a command of the program printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tui", *arguments, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(text: Path, preset: str, seconds: float, seed: int) -> dict[str, Any]:
    """Trains and scores one cell."""
    with tempfile.TemporaryDirectory() as folder:
        place = ["--checkpoints", folder, "--run", "cell"]
        training = ["--preset", preset, "--minutes", str(seconds / 60), "--seed", str(seed)]
        finished = charlm("train", str(text), *training, *place)[-1]
        (scores,) = charlm("evaluate", *place)
    return {
        "text": text.name,
        "preset": preset,
        "seconds": seconds,
        "seed": seed,
        "steps": finished["step"],
        "characters_per_second": finished["characters_per_second"],
        "stateful": scores["nats_per_character"],
        "windowed": scores["windowed_nats_per_character"],
    }


def print_table(cells: Sequence[dict[str, Any]], text: str) -> None:
    """Prints stateful / windowed nats, presets down and seconds across; median over seeds."""
    mine = [cell for cell in cells if cell["text"] == text]
    columns = sorted({cell["seconds"] for cell in mine})
    print(f"\n{text}\n")
    print("| preset | " + " | ".join(f"{column:g} s" for column in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for preset in dict.fromkeys(cell["preset"] for cell in mine):
        row = []
        for column in columns:
            found = [c for c in mine if (c["preset"], c["seconds"]) == (preset, column)]
            row.append(
                " / ".join(
                    f"{statistics.median(c[protocol] for c in found):.3f}"
                    for protocol in ("stateful", "windowed")
                )
                if found
                else ""
            )
        print(f"| {preset} | " + " | ".join(row) + " |")


def main() -> None:
    """Measures what is missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--seconds", nargs="+", type=float, default=[10.0, 60.0, 300.0, 900.0])
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--results", type=Path, default=Path("recipe_figures.jsonl"))
    options = parser.parse_args()
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    cells = [json.loads(line) for line in lines]
    known = {tuple(cell[key] for key in ("text", "preset", "seconds", "seed")) for cell in cells}
    for seconds in options.seconds:
        for seed in options.seeds:
            for text in options.texts:
                for preset in options.presets:
                    if (text.name, preset, seconds, seed) in known:
                        continue
                    cells.append(measure(text, preset, seconds, seed))
                    with options.results.open("a") as file:
                        file.write(json.dumps(cells[-1]) + "\n")
    for text in options.texts:
        print_table(cells, text.name)


if __name__ == "__main__":
    main()
