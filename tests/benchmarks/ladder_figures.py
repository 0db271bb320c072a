"""Measures the tables of docs/ladder.md: n-gram models of orders 0 to 8 on texts.

    python tests/benchmarks/ladder_figures.py TEXT [TEXT ...]

For each order: seconds to build a model of the training part (the median of five), the largest
memory of the building and the memory of the model in bytes a character, and the loss on the
held-out part, which is the last tenth. Not a test: it passes no judgement.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

from corpus import CorpusOptions, load_corpus, resolve_source, split_ids
from model.ngram.ngram_model import MAX_ORDER, NgramModel

ROUNDS = 5


def processor() -> str:
    """Returns the processor's name, as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor()


def table(text: str) -> None:
    """Prints the table of one text."""
    corpus = load_corpus(resolve_source(text), CorpusOptions())
    split, symbols = split_ids(corpus.ids, 0.1), len(corpus.vocabulary)
    print(f"\n{corpus.name}: {len(corpus):,} characters, {symbols} symbols\n")
    print("| order | seconds | memory while building | memory | nats | bits |")
    print("|---|---|---|---|---|---|")
    for order in range(MAX_ORDER + 1):
        seconds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            model = NgramModel.build(split.train, symbols, order)
            seconds.append(time.perf_counter() - began)
        tracemalloc.start()
        NgramModel.build(split.train, symbols, order)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        nats = model.nats(split.held_out)
        print(
            f"| {order} | {statistics.median(seconds):.2f} | {peak / len(split.train):.0f} "
            f"| {model.nbytes / len(split.train):.1f} | {nats:.3f} | {nats / math.log(2):.2f} |"
        )


def main() -> None:
    """Prints a table for each text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("texts", nargs="+", metavar="TEXT")
    print(f"{processor()}, {datetime.now(UTC):%Y-%m-%d}; memory in bytes a character")
    for text in parser.parse_args().texts:
        table(text)


if __name__ == "__main__":
    main()
