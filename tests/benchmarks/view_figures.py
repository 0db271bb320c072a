"""Measures what the views cost: the real program in a real pseudo-terminal.

    python tests/benchmarks/view_figures.py [bytes share lateness memory race] [--runs 3]

Not a test: it passes no judgement beside the limit that it prints. It wants an otherwise idle
machine (for bytes a busy one will do, as long as it keeps the pace).
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
from collections.abc import Callable, Iterator
from pathlib import Path

from app_figures import Program, metrics, steps_per_second
from view_pictures import opened_app

import tui
from corpus import DEFAULT_TEXT, Vocabulary
from model.config import ModelConfig, SamplingConfig
from model.network.parameters import initial_parameters
from model.network.snapshot import LstmSnapshot
from model.sampling.race import LaneModel, Race
from model.sampling.stream import CharacterStream
from tui.app.app import CharlmApp

OPTIONS = ("--preset", "balanced", "--epochs", "100", "--seed", "1")
WIDE = (200, 60)
CURSOR = "▌".encode()
ALL_VIEWS = b"3456c"
"""Keys that open every pane where there is room, and colour the text."""
PROBE_SECONDS = 0.05
LATE_SECONDS = 0.1
LANES = (0.2, 0.5, 1.0, 1.2)
Figures = dict[str, tuple[float, str]]
"""A figure and its limit, by name."""


# --- bytes ----------------------------------------------------------------------------------------


def measure_bytes(seconds: float) -> Figures:
    """Measures bytes a second of the first view while a training streams 60 characters a second."""
    found: Figures = {}
    for name, options, limit, fps in (
        ("default", (), 12.0, 15),
        ("low-bandwidth", ("--low-bandwidth",), 2.5, 8),
    ):
        with tempfile.TemporaryDirectory() as folder:
            program = Program([DEFAULT_TEXT, *OPTIONS, *options], Path(folder))
            program.wait(lambda seen: b" characters" in seen, 120)
            program.read_for(10)
            start = len(program.output)
            traffic = program.watch(seconds)
            frames = program.output[start:].count(CURSOR)
            program.end()
        found[f"{name} 80x24, kB/s"] = (
            traffic.bytes / traffic.seconds / 1000,
            f"at most {limit:g}",
        )
        found[f"{name} streamed, characters/s"] = (traffic.characters / traffic.seconds, "60")
        # Fewer than the limit, and the machine was too busy for the bytes to mean anything.
        found[f"{name} frames with text, a second"] = (frames / traffic.seconds, f"{fps}")
    return found


# --- training beside all views --------------------------------------------------------------------


def measure_share(seconds: float) -> Figures:
    """Measures training with all views open on a wide screen against ``train`` alone."""
    paces = []
    for headless in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Path(folder)
            if headless:
                command = [sys.executable, "-m", "tui", "train", DEFAULT_TEXT, *OPTIONS, "--json"]
                process = subprocess.Popen(
                    command,
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, "CHARLM_CHECKPOINTS": folder},
                )
                wait_for_steps(checkpoints, seconds)
                process.terminate()
                process.wait()
            else:
                program = Program([DEFAULT_TEXT, *OPTIONS], checkpoints, size=WIDE)
                program.wait(lambda seen: b" characters" in seen, 120)
                program.send(ALL_VIEWS)
                wait_for_steps(checkpoints, seconds, program)
                program.end()
            paces.append(steps_per_second(metrics(checkpoints), 3.0, seconds))
    return {
        "train alone, steps/s": (paces[0], ""),
        "all views open, steps/s": (paces[1], ""),
        "all views / train": (paces[1] / paces[0], "at least 0.90"),
    }


def wait_for_steps(checkpoints: Path, seconds: float, program: Program | None = None) -> None:
    """Waits until a run has so many seconds of training behind it, reading what it writes."""
    deadline = time.monotonic() + 10 * seconds + 120
    while time.monotonic() < deadline:
        if program is None:
            time.sleep(1.0)
        else:
            program.read_for(1.0)
        events = metrics(checkpoints)
        if events and events[-1]["time"] > seconds:
            return
    raise TimeoutError("the training did not come that far")


# --- the timer ------------------------------------------------------------------------------------


class ProbedApp(CharlmApp):
    """The app with a timer that notes when it was late."""

    CSS_PATH = str(Path(tui.__file__).with_name("app") / "app.tcss")

    def __init__(self, app: CharlmApp, seconds: float, path: Path) -> None:
        super().__init__(app.session, app.settings)
        self._seconds, self._path = seconds, path
        self._last: float | None = None
        self._gaps: list[float] = []

    def on_ready(self) -> None:
        """Opens all views and starts the probe; Textual calls the app's own ``on_ready``, too."""
        self.set_timer(3.0, self._open_views)

    def _open_views(self) -> None:
        for name in ("sampling", "race", "growth", "events"):
            self.main_screen.action_toggle_pane(name)
        self.main_screen.action_next_ink()
        self.set_timer(2.0, self._begin)

    def _begin(self) -> None:
        self.set_interval(PROBE_SECONDS, self._probe)
        self.set_timer(self._seconds, self._finish)

    def _probe(self) -> None:
        now = time.monotonic()
        if self._last is not None:
            self._gaps.append(now - self._last)
        self._last = now

    def _finish(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._gaps), encoding="utf-8")
        part.rename(self._path)
        self.exit()


def run_probed(seconds: float, path: Path) -> None:
    """Runs the app with its probe on this terminal; another process has made it."""
    with tempfile.TemporaryDirectory() as folder:
        session, app = opened_app("balanced", Path(folder))
        ProbedApp(app, seconds, path).run()
        session.close(save=False)


def measure_lateness(seconds: float) -> Figures:
    """Counts how often a timer of the screen comes late while all views are open."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gaps.json"
        script = (str(Path(__file__).resolve()), "--probe", str(path), "--seconds", str(seconds))
        program = Program((), Path(folder), command=script, size=WIDE)
        deadline = time.monotonic() + 5 * seconds + 120
        while not path.exists():
            gone = os.waitpid(program.pid, os.WNOHANG)[0]
            if gone or time.monotonic() > deadline:
                raise RuntimeError(bytes(program.output[-2000:]).decode(errors="replace"))
            program.read_for(0.5)
        gaps = json.loads(path.read_text(encoding="utf-8"))
        program.end()
    late = [gap - PROBE_SECONDS for gap in gaps if gap - PROBE_SECONDS > LATE_SECONDS]
    return {
        "late by more than 100 ms, a minute": (60 * len(late) / seconds, "less than 1"),
        "latest, ms": (1000 * (max(gaps, default=seconds) - PROBE_SECONDS), ""),
    }


# --- memory ---------------------------------------------------------------------------------------


def measure_memory(minutes: float) -> Figures:
    """Follows the memory of an opened run that streams 200 characters a second."""
    with tempfile.TemporaryDirectory() as folder:
        train = [sys.executable, "-m", "tui", "train", DEFAULT_TEXT, "--preset", "quick"]
        environment = {**os.environ, "CHARLM_CHECKPOINTS": folder}
        subprocess.run(
            [*train, "--minutes", "0.2"], check=True, capture_output=True, env=environment
        )
        saved = max(Path(folder).glob("*/*.safetensors"))
        program = Program(["--checkpoint", str(saved), "--rate", "200"], Path(folder))
        program.read_for(min(60.0, 20 * minutes))
        readings = [resident_megabytes(program.pid)]
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            program.read_for(min(10.0, max(0.1, end - time.monotonic())))
            readings.append(resident_megabytes(program.pid))
            del program.output[:-10_000]
        program.end()
    return {
        "memory at the start, MB": (readings[0], ""),
        f"grown in {minutes:g} min, MB": (readings[-1] - readings[0], "at most 5"),
        "highest above the start, MB": (max(readings) - readings[0], ""),
    }


def resident_megabytes(pid: int) -> float:
    """Returns the resident memory of a process (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# --- the race -------------------------------------------------------------------------------------


def measure_race(seconds: float) -> Figures:
    """Times four lanes side by side against four streams in turn, per character of a lane."""
    vocabulary = Vocabulary.from_symbols("".join(map(chr, range(32, 112))))
    found: Figures = {}
    for hidden in (128, 512):
        weights = initial_parameters(ModelConfig(hidden=hidden), len(vocabulary), 1)
        snapshot = LstmSnapshot.from_weights(weights, step=1)
        network = {"network": LaneModel.of_weights(snapshot)}
        lanes = [("network", temperature) for temperature in LANES]
        race = Race(lanes, network, vocabulary, seed=1, prompt="a")
        streams = [
            CharacterStream(
                snapshot, vocabulary, sampling=SamplingConfig(temperature=temperature), seed=1
            )
            for temperature in LANES
        ]
        lane = len(LANES) * rate_of(race.step, seconds)

        def in_turn(streams: list[CharacterStream] = streams) -> None:
            for stream in streams:
                stream.step()

        single = len(LANES) * rate_of(in_turn, seconds)
        found[f"LSTM({hidden}) race, lane-characters/s"] = (lane, "")
        found[f"LSTM({hidden}) streams in turn, characters/s"] = (single, "")
        found[f"LSTM({hidden}) race / in turn"] = (lane / single, "at least 2.5")
    return found


def rate_of(step: Callable[[], object], seconds: float) -> float:
    """Returns calls a second."""
    step()
    began = time.perf_counter()
    count = 0
    while time.perf_counter() - began < seconds:
        step()
        count += 1
    return count / (time.perf_counter() - began)


# --- the command ----------------------------------------------------------------------------------


def measured(names: list[str], arguments: argparse.Namespace) -> Iterator[Figures]:
    """Yields the figures of each kind, once for each run."""
    ways: dict[str, Callable[[], Figures]] = {
        "bytes": lambda: measure_bytes(arguments.seconds),
        "share": lambda: measure_share(arguments.seconds),
        "lateness": lambda: measure_lateness(arguments.seconds),
        "memory": lambda: measure_memory(arguments.minutes),
        "race": lambda: measure_race(min(3.0, arguments.seconds)),
    }
    for name in names:
        runs = [ways[name]() for _ in range(1 if name == "memory" else arguments.runs)]
        for figure, (_, limit) in runs[0].items():
            values = sorted(run[figure][0] for run in runs)
            spread = f"({values[0]:.2f} to {values[-1]:.2f}, {len(values)} runs)"
            print(f"{figure:44} {statistics.median(values):10.2f}   {spread}  {limit}", flush=True)
        yield from runs


def main() -> None:
    """Runs the measurements and prints a table."""
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # as the program has it; NumPy has read it by now
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    kinds = ("bytes", "share", "lateness", "memory", "race")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(kinds), metavar="KIND", help=str(kinds))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--minutes", type=float, default=30.0, help="of the memory's stream")
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe is not None:
        run_probed(arguments.seconds, arguments.probe)
        return
    unknown = sorted(set(arguments.kinds) - set(kinds))
    if unknown:
        parser.error(f"no such figures: {', '.join(unknown)}; there are {', '.join(kinds)}")
    for _ in measured(arguments.kinds, arguments):
        pass


if __name__ == "__main__":
    main()
