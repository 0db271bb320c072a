"""``charlm-tui generate``: text from a saved run on stdout, figures on stderr. Imports no torch."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from corpus import UserError, Vocabulary, fit_prompt
from model.batch_sampler import ParallelStreams
from model.checkpoint import Checkpoint, read_checkpoint
from model.config import MAXIMUM_SEED, SamplingConfig, require_range
from model.errors import ConfigError
from model.product_threads import fastest_products
from model.run_folder import RunFolder
from model.sampler import CharacterStream
from model.sampler_thread import new_seed
from tui.exit_status import complain
from tui.options import (
    checkpoint_option,
    checkpoints_option,
    json_option,
    run_option,
    sampling_config,
    sampling_options,
    seed_option,
)
from tui.sanitise import PrintableStream, harmless_json, one_line

LONGEST_SIDE_BY_SIDE = 1_000_000
"""Characters of a text that waits in memory until it is whole; longer ones are written in turn."""
STREAMS_AT_ONCE = 32
"""Streams of a thread."""
CHARACTERS_AT_ONCE = 256
"""Characters between two looks at who is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenText:
    """One stream's text and its figures."""

    text: str
    seconds: float
    bits_per_character: float | None
    """Of what was written, by the model's own distribution; None for an empty text."""


@click.command()
@run_option
@checkpoint_option
@checkpoints_option
@click.option("--length", type=int, default=400, metavar="N", help="Characters (default: 400).")
@click.option("--streams", type=int, default=1, metavar="N", help="Texts, with seeds one apart.")
@click.option("--stop", default="", metavar="TEXT", help="End a text before this.")
@click.option("--raw", is_flag=True, help="Leave control characters in, also on a terminal.")
@sampling_options
@seed_option
@json_option
def generate(**options: Any) -> None:
    """Write text from a saved run (the newest, unless named), by its best weights."""
    sampling = sampling_config(options)
    require_range("length", options["length"], 0, 10**15)
    require_range("streams", options["streams"], 1, 10_000)
    seed = new_seed() if options["seed"] is None else options["seed"]
    require_range("seed", seed, 0, MAXIMUM_SEED)
    checkpoint = find_checkpoint(options["checkpoint"], options["root"], options["run"])
    prompt = _prompt(options["prompt"], checkpoint)
    seeds = range(seed, seed + options["streams"])
    one_by_one = len(seeds) == 1 or options["length"] > LONGEST_SIDE_BY_SIDE
    order = _one_by_one if one_by_one else _side_by_side
    stop, length = options["stop"], options["length"]
    show = (lambda _: None) if options["as_json"] else _show_on_stdout(raw=options["raw"])
    for number, written in zip(
        seeds, order(checkpoint, sampling, seeds, prompt, length, stop, show), strict=True
    ):
        if options["as_json"]:
            record = _record(checkpoint, sampling, number, prompt, written)
            click.echo(harmless_json(json.dumps(record, ensure_ascii=False)))
        else:
            _report(checkpoint, number, written)
            if number != seeds[-1]:
                show("\n\n")


def _one_by_one(  # noqa: PLR0917
    checkpoint: Checkpoint,
    sampling: SamplingConfig,
    seeds: Sequence[int],
    prompt: str,
    length: int,
    stop: str,
    show: Callable[[str], None],
) -> Iterator[WrittenText]:
    """Yields each text after it was shown character by character."""
    snapshot = checkpoint.snapshot()
    with fastest_products(snapshot):
        for seed in seeds:
            stream = CharacterStream(
                snapshot,
                checkpoint.metadata.vocabulary,
                sampling=sampling,
                seed=seed,
                prompt=prompt,
                window=checkpoint.metadata.training.window,
                candidates=0,
            )
            yield write(stream, length, stop, show)


def _side_by_side(  # noqa: PLR0917
    checkpoint: Checkpoint,
    sampling: SamplingConfig,
    seeds: Sequence[int],
    prompt: str,
    length: int,
    stop: str,
    show: Callable[[str], None],
) -> Iterator[WrittenText]:
    """Yields each text; a group of them is written at once, and shown when it is whole."""
    threads = os.cpu_count() or 1
    size = STREAMS_AT_ONCE * threads
    for first in range(0, len(seeds), size):
        streams = ParallelStreams(
            checkpoint.snapshot(),
            checkpoint.metadata.vocabulary,
            sampling=sampling,
            seeds=seeds[first : first + size],
            prompt=prompt,
            window=checkpoint.metadata.training.window,
            threads=threads,
        )
        for written in write_group(streams, checkpoint.metadata.vocabulary, length, stop):
            show(written.text)
            yield written


def write_group(
    streams: ParallelStreams, vocabulary: Vocabulary, length: int, stop: str
) -> list[WrittenText]:
    """Writes up to ``length`` characters in each stream; ends when all came to ``stop``."""
    began = time.perf_counter()
    count = len(streams)
    texts, bits, seconds = [""] * count, [0.0] * count, [0.0] * count
    written = [0] * count
    growing, done = list(range(count)), 0
    while growing and done < length:
        ids, own = streams.write(min(CHARACTERS_AT_ONCE, length - done))
        done += len(ids)
        now = time.perf_counter() - began
        for number in growing:
            overlap = max(0, len(texts[number]) - len(stop) + 1)
            texts[number] += vocabulary.decode(ids[:, number])
            place = texts[number].find(stop, overlap) if stop else -1
            if place >= 0:
                texts[number] = texts[number][:place]
            used = place + len(stop) - written[number] if place >= 0 else len(ids)
            bits[number] += sum(map(_bits, own[:used, number]))
            written[number] += used
            seconds[number] = now if place < 0 else -now
        growing = [number for number in growing if seconds[number] >= 0]
    return [
        WrittenText(
            text=texts[number],
            seconds=abs(seconds[number]),
            bits_per_character=bits[number] / written[number] if written[number] else None,
        )
        for number in range(count)
    ]


def find_checkpoint(path: Path | None, root: Path, run: str | None) -> Checkpoint:
    """Returns the named checkpoint file, or the best one of the named (or newest) run.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: both a run and a file were named.
    """
    if path is not None:
        if run is not None:
            raise ConfigError("--checkpoint", "a run was named as well", "name one of the two")
        return read_checkpoint(path)
    return RunFolder.find(root, run).load_best(complain)


def write(
    stream: CharacterStream, length: int, stop: str, show: Callable[[str], None]
) -> WrittenText:
    """Writes up to ``length`` characters, handing them to ``show`` as they come.

    What could be the beginning of ``stop`` is held back until it is known not to be.
    """
    began = time.perf_counter()
    shown: list[str] = []
    bits = 0.0
    count = 0
    held = ""
    for _ in range(length):
        symbol, probability = stream.write()
        bits += _bits(probability)
        count += 1
        held += stream.vocabulary.decode([symbol])
        if stop and stop in held:
            held = held[: held.index(stop)]
            break
        ready = len(held) - (len(stop) - 1 if stop else 0)
        if ready > 0:
            show(held[:ready])
            shown.append(held[:ready])
            held = held[ready:]
    show(held)
    shown.append(held)
    return WrittenText(
        text="".join(shown),
        seconds=time.perf_counter() - began,
        bits_per_character=bits / count if count else None,
    )


def _bits(probability: float) -> float:
    """Returns what a character of that probability carries; at most what the smallest one does."""
    return -math.log2(probability) if probability > 0 else 1075.0


def _prompt(text: str, checkpoint: Checkpoint) -> str:
    fitted = fit_prompt(text, checkpoint.metadata.vocabulary)
    if text and not fitted.text:
        raise UserError(
            "--prompt",
            "the model knows none of its characters",
            "use characters of the text that it was trained on",
        )
    if fitted.note:
        complain(fitted.note)
    return fitted.text


def _show_on_stdout(*, raw: bool) -> Callable[[str], None]:
    """Returns what writes to stdout: as it is to a file or a pipe, harmless to a terminal."""
    on_terminal = sys.stdout.isatty()
    output = sys.stdout.buffer
    stream = PrintableStream(keep_newlines=True)

    def show(text: str) -> None:
        if on_terminal and not raw:
            text = stream.feed(text)
        output.write(text.encode("utf-8", "replace"))
        if on_terminal:
            output.flush()

    return show


def _report(checkpoint: Checkpoint, seed: int, written: WrittenText) -> None:
    sys.stdout.flush()
    rate = len(written.text) / written.seconds if written.seconds > 0 else 0.0
    bits = written.bits_per_character
    figures = "" if bits is None else f", {bits:.2f} bits per character"
    print(
        f"\n{one_line(checkpoint.metadata.run)} step {checkpoint.metadata.step}, seed {seed}: "
        f"{len(written.text):,} characters, {rate:,.0f} a second{figures}",
        file=sys.stderr,
    )


def _record(
    checkpoint: Checkpoint,
    sampling: SamplingConfig,
    seed: int,
    prompt: str,
    written: WrittenText,
) -> dict[str, Any]:
    return {
        "run": checkpoint.metadata.run,
        "step": checkpoint.metadata.step,
        "prompt": prompt,
        "text": written.text,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "seed": seed,
        "characters": len(written.text),
        "seconds": round(written.seconds, 6),
        "characters_per_second": round(len(written.text) / max(written.seconds, 1e-9), 1),
        "bits_per_character": written.bits_per_character,
    }
