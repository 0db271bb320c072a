"""What `bench` compares ours with: PyTorch's stock loops and Keras', in a process of their own.

Our program tells threads that wait to sleep, and NumPy to keep to one thread, for the sake of the
screen beside a training. The loop of a tutorial has neither, and a small network pays for them with
half its speed; so it runs as its user would run it. The process is asked for one way after the
other, a line of JSON each, and answers with a rate; between two of them it waits. Who
only asks imports no PyTorch here.
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
from model.bench.rows import Task, Way
from model.system.child_process import AnsweringChild, answering_child

NAME = "the process of the stock ways"
OURS_ALONE = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Settings of this program for itself (`tui.cli.main`)."""


def stock_names(task: Task) -> tuple[str, ...]:
    """Returns the names of the ways that there are for a task on this machine."""
    if task.kind == "training" or task.device != "cpu":
        names: tuple[str, ...] = ("nn.LSTM",)
    else:
        names = ("nn.LSTM", "nn.LSTMCell")
    if task.device == "cpu" and keras_is_installed() and fits(task):
        names = (*names, "keras")
    return names


class StockProcess:
    """The process, as seen from `bench`."""

    def __init__(self, child: AnsweringChild) -> None:
        self._child = child

    def ways(self, task: Task) -> Mapping[str, Way]:
        """Returns the stock ways of doing a task; calling one has the process work.

        A way raises ``ChildEnded`` when the process has ended.
        """
        return {name: partial(self._rate, task, name) for name in stock_names(task)}

    def _rate(self, task: Task, name: str, span: float) -> float:
        question = {"task": dataclasses.asdict(task), "way": name, "span": span}
        return float(self._child.ask(json.dumps(question)))


def environment_of_others(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment without what this program sets for itself."""
    return {name: value for name, value in environment.items() if name not in OURS_ALONE}


@contextmanager
def stock_process() -> Iterator[StockProcess]:
    """Starts the process; ends it."""
    environment = environment_of_others(os.environ)
    with answering_child(NAME, "model.bench.stock_process", environment=environment) as child:
        yield StockProcess(child)


def answers(questions: Iterable[str]) -> Iterator[float]:
    """Does what it is asked for; keeps the ways of the task at hand."""
    from model.bench.stock_loops import stock_way  # noqa: PLC0415 - see above

    task: Task | None = None
    ways: dict[str, Way] = {}
    for line in questions:
        question = json.loads(line)
        asked = Task(**question["task"])
        if asked != task:
            task, ways = asked, {}
        name = question["way"]
        if name not in ways:
            ways[name] = stock_way(asked, name)
        yield ways[name](question["span"])


def main() -> None:
    """Answers on the standard output; whatever else is printed goes to the standard error.

    TensorFlow prints from compiled code, too, so the descriptor is moved and not the stream alone.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for rate in answers(sys.stdin):
            print(rate, file=out, flush=True)


if __name__ == "__main__":
    main()
