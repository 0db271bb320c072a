"""``charlm-tui generate``: text from a saved run on stdout, figures on stderr. Imports no torch."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from corpus import UserError, fit_prompt
from model.checkpoint import Checkpoint, read_checkpoint
from model.config import MAXIMUM_SEED, SamplingConfig, require_range
from model.errors import ConfigError
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
from tui.sanitise import printable


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
    for number in range(options["streams"]):
        stream = CharacterStream(
            checkpoint.snapshot(),
            checkpoint.metadata.vocabulary,
            sampling=sampling,
            seed=seed + number,
            prompt=prompt,
            window=checkpoint.metadata.training.window,
            candidates=0,
        )
        show = (lambda _: None) if options["as_json"] else _show_on_stdout(raw=options["raw"])
        if number and not options["as_json"]:
            show("\n\n")
        written = write(stream, options["length"], options["stop"], show)
        if options["as_json"]:
            record = _record(checkpoint, sampling, seed + number, prompt, written)
            click.echo(json.dumps(record, ensure_ascii=False))
        else:
            _report(checkpoint, seed + number, written)


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
    for written in _first(length, stream):
        bits -= math.log2(written.probability) if written.probability > 0 else -1075
        count += 1
        held += written.character
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


def _first(length: int, stream: CharacterStream) -> Iterator[Any]:
    for _ in range(length):
        yield stream.step()


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

    def show(text: str) -> None:
        if on_terminal and not raw:
            text = printable(text, keep_newlines=True)
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
        f"\n{checkpoint.metadata.run} step {checkpoint.metadata.step}, seed {seed}: "
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
