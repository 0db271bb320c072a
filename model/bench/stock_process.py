"""PyTorch's stock loops and Keras', which `bench` compares ours with, in a separate process.

This program sets waiting threads to sleep and NumPy to one thread, for the screen beside a
training. A tutorial does neither, and those settings would halve the speed of a small network. So
the stock loops run in a process without them. It reads one question a line, in JSON, and answers
with a rate; between two questions it waits. The asking side imports no PyTorch here.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from model.bench.keras import fits, keras_is_installed
from model.bench.rows import Implementation, Task
from model.kernels.cpu import LEVELS, SIMD
from model.system.child_process import AnsweringChild, answering_child

NAME = "the process of the stock implementations"
OURS_ALONE = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables that this program sets for itself (`tui.cli.main`)."""

_LIMITS: Mapping[str, Mapping[str, str]] = {
    "sse2": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "avx512": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
    "avx512bf16": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
}
_MKL: Mapping[str, str] = {"sse2": "SSE4_2", "avx2": "AVX2"}
"""The same for MKL, which has no level between AVX-512 and its best."""


def library_limits() -> dict[str, str]:
    """Returns the variables that keep PyTorch, oneDNN and MKL at a lowered SIMD level.

    They are read when PyTorch is imported. Empty if `$CHARLM_SIMD` lowers nothing.
    """
    if LEVELS[-1] == SIMD or SIMD not in _LIMITS:
        return {}
    return {**_LIMITS[SIMD], "MKL_ENABLE_INSTRUCTIONS": _MKL.get(SIMD, "AVX512")}


def level_in_words() -> str:
    """Returns what `$CHARLM_SIMD` lowers, for a heading; empty if nothing is lowered."""
    if not library_limits():
        return ""
    return f"SIMD level {SIMD}, PyTorch, oneDNN and MKL limited alike"


def stock_names(task: Task) -> tuple[str, ...]:
    """Returns the names of the stock implementations of a task on this machine."""
    if task.kind == "training" or task.device != "cpu":
        names: tuple[str, ...] = ("nn.LSTM",)
    else:
        names = ("nn.LSTM", "nn.LSTMCell")
    if task.device == "cpu" and keras_is_installed() and fits(task):
        names = (*names, "keras")
    return names


class StockProcess:
    """The asking side of the process."""

    def __init__(self, child: AnsweringChild) -> None:
        self._child = child

    def implementations(self, task: Task) -> Mapping[str, Implementation]:
        """Returns the stock implementations of a task; the process runs them.

        Each has run once, so the process imports nothing any more and sleeps until it is asked.

        Raises:
            ChildEnded: the process has ended; also when one of them is called.
        """
        implementations = {name: partial(self._rate, task, name) for name in stock_names(task)}
        for implementation in implementations.values():
            implementation(0.0)
        return implementations

    def _rate(self, task: Task, name: str, span: float) -> float:
        question = {"task": dataclasses.asdict(task), "way": name, "span": span}
        return float(self._child.ask(json.dumps(question)))


def environment_of_others(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment without the variables that this program sets for itself."""
    return {name: value for name, value in environment.items() if name not in OURS_ALONE}


@contextmanager
def stock_process() -> Iterator[StockProcess]:
    """Starts the process, and ends it on exit."""
    environment = environment_of_others(os.environ)
    with answering_child(NAME, "model.bench.stock_process", environment=environment) as child:
        yield StockProcess(child)


def answers(questions: Iterable[str]) -> Iterator[float]:
    """Answers questions with rates; keeps the implementations of the current task."""
    from model.bench.stock_loops import stock_implementation  # noqa: PLC0415 - see above

    task: Task | None = None
    implementations: dict[str, Implementation] = {}
    for line in questions:
        question = json.loads(line)
        asked = Task(**question["task"])
        if asked != task:
            task, implementations = asked, {}
        name = question["way"]
        if name not in implementations:
            implementations[name] = stock_implementation(asked, name)
        yield implementations[name](question["span"])


def main() -> None:
    """Answers on standard output; everything else that is printed goes to standard error.

    The file descriptor is redirected, because TensorFlow also prints from compiled code.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for rate in answers(sys.stdin):
            print(rate, file=out, flush=True)


if __name__ == "__main__":
    main()
