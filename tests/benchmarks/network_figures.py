"""Measures the table of docs/networks.md: networks, texts, minutes and seeds.

    python tests/benchmarks/network_figures.py TEXT... [--minutes 1 5] [--seeds 1 2 3]
        [--networks lstm gru conv] [--speed-seconds 20] [--at-once 2] [--results FILE]

First, with nothing else of it running, each network's plan is made for the measured speed of one
thread, and a short run with the settings of the plan gives its characters a second. That part wants
an otherwise idle machine. Then each cell is trained in a process of its own, by a clock that each
step moves as far as that speed says. So it makes exactly the steps of its minutes, however busy the
machine is. Results are appended to FILE as they come, and what FILE has is not measured again. Not
a test: it passes no judgement.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from corpus import Corpus, CorpusOptions, load_corpus, resolve_source, split_ids
from model.config import NETWORKS, ModelConfig, TrainingConfig, from_record, to_record
from model.evaluation.protocols import evaluate
from model.events import Finished, RunStarted, StepFinished
from model.plan.ladder import plan_for
from model.presets import find_preset
from model.runs.folder import RunFolder
from model.runs.request import RunRequest
from model.training.autotune import measure_speed
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

Record = dict[str, Any]
OF_A_PLAN = ("kind", "text", "network", "minutes")
RESULTS = Path("build/network_figures.jsonl")
"""In a folder that git ignores."""


class StepClock:
    """A clock in seconds that only `tick` moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Returns the seconds."""
        return self.now


# --- in a process of its own ----------------------------------------------------------------------


def planned(asked: Record) -> Record:
    """Returns a network's plan for one thread of this machine, and how fast that is trained."""
    corpus = _corpus(asked)
    network, seconds = asked["network"], asked.pop("speed_seconds")
    training = dataclasses.replace(
        find_preset("auto").training, minutes=asked["minutes"], threads=1, sample_length=0
    )
    speed = measure_speed(training, corpus.vocabulary, network=network)
    plan = plan_for(
        speed,
        characters=len(split_ids(corpus.ids, training.validation_fraction).train),
        symbols=len(corpus.vocabulary),
        model=ModelConfig(network=network),
        training=training,
        chosen=frozenset(["network"]),
    )
    began, controls = time.monotonic(), TrainingControls()
    endless = dataclasses.replace(plan.training, epochs=None, minutes=1e6)
    with tempfile.TemporaryDirectory() as root:
        run = TrainingRun(_request(asked, plan.model, endless, root), controls)
        for event in run.events():
            if isinstance(event, RunStarted):
                began, started = time.monotonic(), event
            elif isinstance(event, StepFinished) and time.monotonic() - began >= seconds:
                controls.stop(hurry=True)
            elif isinstance(event, Finished):
                finished = event
    return {
        **asked,
        "model": to_record(plan.model),
        "training": to_record(plan.training) | {"precision": started.precision},
        "parameters": started.parameters,
        "precision": started.precision,
        "characters_per_second": finished.characters_per_second,
    }


def trained(asked: Record) -> Record:
    """Trains for the steps of a plan's minutes; returns the losses on the held-out text."""
    plan = asked.pop("plan")
    model = from_record(ModelConfig, plan["model"])
    training = from_record(TrainingConfig, plan["training"])
    training = dataclasses.replace(training, seed=asked["seed"])
    clock = StepClock()
    seconds = training.batch * training.sequence / plan["characters_per_second"]
    with tempfile.TemporaryDirectory() as root:
        request = _request(asked, model, training, root)
        for event in TrainingRun(request, TrainingControls(), clock=clock).events():
            if isinstance(event, StepFinished):
                clock.now += seconds
                steps = event.step
        store = RunFolder(Path(root) / "cell").checkpoints
        held_out = split_ids(_corpus(asked).ids, training.validation_fraction).held_out
        scores = evaluate(store.load_best(lambda _: None), held_out)
    return {
        **asked,
        "steps": steps,
        "stateful": scores.nats_per_character,
        "windowed": scores.windowed_nats_per_character,
    }


def _corpus(asked: Record) -> Corpus:
    return load_corpus(resolve_source(asked["path"]), CorpusOptions())


def _request(asked: Record, model: ModelConfig, training: TrainingConfig, root: str) -> RunRequest:
    return RunRequest(
        corpus=asked["path"],
        preset="planned",
        model=model,
        training=training,
        root=Path(root),
        run="cell",
    )


WORK: dict[str, Callable[[Record], Record]] = {"plan": planned, "cell": trained}


# --- in the process that was started --------------------------------------------------------------


class Results:
    """The finished results, in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        lines = path.read_text().splitlines() if path.exists() else []
        self.records: list[Record] = [json.loads(line) for line in lines]

    def find(self, **facts: Any) -> Record | None:
        """Returns the result with these facts, if there is one."""
        return next((each for each in self.records if facts.items() <= each.items()), None)

    def measure(self, asked: Record, **further: Any) -> Record:
        """Returns a result of the file, or measures it in a process and appends it."""
        known = self.find(**{name: value for name, value in asked.items() if name != "path"})
        if known is not None:
            return known
        done = subprocess.run(
            [sys.executable, __file__, "--work", json.dumps({**asked, **further})],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        result: Record = json.loads(done.stdout.splitlines()[-1])
        with self._lock:
            self.records.append(result)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps(result) + "\n")
            facts = (result[name] for name in (*OF_A_PLAN, "seed") if name in result)
            print("measured", *facts, file=sys.stderr, flush=True)
        return result


def table(results: Results, text: str, minutes: float, networks: Sequence[str]) -> list[str]:
    """Returns the table of a text and a time in Markdown; medians, with the spread in brackets."""
    lines = [
        f"\n{text}, {minutes:g} min of one thread\n",
        "| network | parameters | characters a second | steps | windowed nats | stateful nats |",
        "|---|---|---|---|---|---|",
    ]
    for network in networks:
        facts = {"text": text, "minutes": minutes, "network": network}
        plan = results.find(kind="plan", **facts)
        cells = [
            each for each in results.records if {**facts, "kind": "cell"}.items() <= each.items()
        ]
        if plan is None or not cells:
            continue
        model = from_record(ModelConfig, plan["model"])
        nats = [
            f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"
            for values in ([cell[name] for cell in cells] for name in ("windowed", "stateful"))
        ]
        lines.append(
            f"| {model.title}, {plan['precision']} | {plan['parameters']:,} "
            f"| {plan['characters_per_second']:,.0f} | {cells[0]['steps']:,} "
            f"| {nats[0]} | {nats[1]} |"
        )
    return lines


def main() -> None:
    """Measures what is missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 5.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--speed-seconds", type=float, default=20.0)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--work", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        print(json.dumps(WORK[options.work["kind"]](options.work)))
        return
    results = Results(options.results)
    asked = [
        {"text": text.name, "path": str(text), "network": network, "minutes": minutes}
        for minutes in options.minutes
        for text in options.texts
        for network in options.networks
    ]
    plans = [
        results.measure({"kind": "plan", **facts}, speed_seconds=options.speed_seconds)
        for facts in asked
    ]
    with ThreadPoolExecutor(options.at_once) as pool:
        cells = [
            pool.submit(results.measure, {"kind": "cell", **facts, "seed": seed}, plan=plan)
            for seed in options.seeds
            for facts, plan in zip(asked, plans, strict=True)
        ]
    for cell in cells:
        cell.result()
    for text in options.texts:
        for minutes in options.minutes:
            print("\n".join(table(results, text.name, minutes, options.networks)))


if __name__ == "__main__":
    main()
