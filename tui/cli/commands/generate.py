"""``charlm-tui generate``: text from a saved run on stdout, figures on stderr. Imports no torch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from corpus import (
    UserError,
    Vocabulary,
    fit_prompt,
    in_known_form,
    shown_symbols,
    unknown_symbols,
)
from model.config import MAX_SEED, SamplingConfig, require_range, to_record
from model.errors import ConfigError
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import read_checkpoint
from model.runs.folder import RunFolder
from model.sampling.numpy_lstm import LstmBatchStepper
from model.sampling.sampler import Sampler
from model.sampling.stepper import MakeBatchStepper
from model.session.sampler_thread import new_seed
from model.system.compiled_code import setback
from model.system.cores import usable_cores
from model.system.torch_import import require_torch
from tui.cli.options import (
    Words,
    checkpoint_option,
    checkpoints_option,
    json_option,
    run_option,
    sampling_options,
    seed_option,
)
from tui.cli.request import sampling_config
from tui.console.exit_status import complain
from tui.console.output import say_json
from tui.sanitise import PrintableStream, one_line

MAX_PARALLEL_CHARACTERS = 1_000_000
"""Longest text that is held in memory until it is complete; longer texts are written in turn."""
STREAMS_PER_THREAD = 32
GROUPS_PER_DEVICE = 8
"""On a GPU, this many groups of ``STREAMS_PER_THREAD`` streams are computed together."""
CHARACTERS_PER_BLOCK = 256
"""Characters written between two searches for the stop text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenText:
    """One stream's text and its figures."""

    text: str
    seconds: float
    bits_per_character: float | None
    """Information content of the text under the model's distribution; None for an empty text."""


@click.command()
@run_option
@checkpoint_option
@checkpoints_option
@click.option(
    "--length",
    type=int,
    default=400,
    metavar="N",
    help="Number of characters to write (default: 400).",
)
@click.option(
    "--streams",
    type=int,
    default=1,
    metavar="N",
    help="Number of texts, with the seeds SEED, SEED+1, ... (default: 1).",
)
@click.option(
    "--stop",
    type=Words(),
    default="",
    metavar="TEXT",
    help="End each text before the first occurrence of TEXT.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "mps"]),
    default="cpu",
    help="Device to compute on (default: cpu). A GPU is worthwhile for many streams or large "
    "networks.",
)
@click.option("--raw", is_flag=True, help="Keep control characters, even on a terminal.")
@sampling_options(SamplingConfig().temperature)
@seed_option
@json_option
def generate(**options: Any) -> None:
    """Write text with the best weights of a run (default: the newest)."""
    sampling = sampling_config(options)
    require_range("length", options["length"], 0, 10**15)
    require_range("streams", options["streams"], 1, 10_000)
    seed = new_seed() if options["seed"] is None else options["seed"]
    require_range("seed", seed, 0, MAX_SEED)
    checkpoint = find_checkpoint(options["checkpoint"], options["root"], options["run"])
    prompt = _prompt(options["prompt"], checkpoint)
    seeds = range(seed, seed + options["streams"])
    request = GenerationRequest(
        checkpoint=checkpoint,
        sampling=sampling,
        seeds=seeds,
        prompt=prompt,
        length=options["length"],
        stop=_stop(options["stop"], checkpoint.metadata.vocabulary),
        show=(lambda _: None) if options["as_json"] else _show_on_stdout(raw=options["raw"]),
        make_stepper=_stepper_on(options["device"]),
    )
    for number, written in zip(seeds, request.texts(), strict=True):
        if options["as_json"]:
            record = _record(checkpoint, sampling, number, prompt, written)
            say_json(record)
        else:
            _report(checkpoint, number, written)
            if number != seeds[-1]:
                request.show("\n\n")
    if note := setback():
        complain(note)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """The texts to write, and the function that shows them."""

    checkpoint: Checkpoint
    sampling: SamplingConfig
    seeds: Sequence[int]
    prompt: str
    length: int
    stop: str
    show: Callable[[str], None]
    make_stepper: MakeBatchStepper
    """Makes the stepper of the device."""

    def texts(self) -> Iterator[WrittenText]:
        """Yields each text after it has been shown."""
        if len(self.seeds) == 1 or self.length > MAX_PARALLEL_CHARACTERS:
            return self._one_by_one()
        return self._side_by_side()

    def _one_by_one(self) -> Iterator[WrittenText]:
        """Shows each text character by character."""
        for seed in self.seeds:
            with closing(self._sampler([seed])) as sampler:
                yield write(sampler, self.length, self.stop, self.show)

    def _side_by_side(self) -> Iterator[WrittenText]:
        """Writes a group of texts in parallel, and shows each when it is complete."""
        on_cpu = self.make_stepper is LstmBatchStepper
        size = STREAMS_PER_THREAD * (usable_cores() if on_cpu else GROUPS_PER_DEVICE)
        for first in range(0, len(self.seeds), size):
            with closing(self._sampler(self.seeds[first : first + size])) as sampler:
                group = write_group(sampler, self.length, self.stop)
            for written in group:
                self.show(written.text)
                yield written

    def _sampler(self, seeds: Sequence[int]) -> Sampler:
        metadata = self.checkpoint.metadata
        return Sampler(
            self.checkpoint.snapshot(),
            metadata.vocabulary,
            sampling=self.sampling,
            seeds=seeds,
            prompt=self.prompt,
            window=metadata.training.window,
            make_stepper=self.make_stepper,
        )


def _stepper_on(device: str) -> MakeBatchStepper:
    """Returns what makes steppers for a device.

    Raises:
        ConfigError: this machine does not have it.
        TorchUnusable: torch cannot be imported here.
    """
    if device == "cpu":
        return LstmBatchStepper
    # Writing on the CPU does not import torch.
    require_torch()
    from model.compute.device import choose_device  # noqa: PLC0415
    from model.sampling.torch_lstm import stepper_on  # noqa: PLC0415

    return stepper_on(choose_device(device))


def write_group(sampler: Sampler, length: int, stop: str) -> list[WrittenText]:
    """Writes up to ``length`` characters of each text; ends when all have reached ``stop``."""
    began = time.perf_counter()
    count = len(sampler)
    texts, bits, seconds = [""] * count, [0.0] * count, [0.0] * count
    written = [0] * count
    growing, done = list(range(count)), 0
    while growing and done < length:
        ids, probabilities = sampler.write(min(CHARACTERS_PER_BLOCK, length - done))
        done += len(ids)
        now = time.perf_counter() - began
        for number in growing:
            overlap = max(0, len(texts[number]) - len(stop) + 1)
            texts[number] += sampler.vocabulary.decode(ids[:, number])
            place = texts[number].find(stop, overlap) if stop else -1
            if place >= 0:
                texts[number] = texts[number][:place]
            used = place + len(stop) - written[number] if place >= 0 else len(ids)
            bits[number] += sum(map(_bits, probabilities[:used, number]))
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
        CheckpointError: there is no checkpoint, or it is damaged.
        ConfigError: both a run and a file were named.
    """
    if path is not None:
        if run is not None:
            raise ConfigError("--checkpoint", "a run was named as well", "name one of the two")
        return read_checkpoint(path)
    return RunFolder.find(root, run).checkpoints.load_best(complain)


def write(sampler: Sampler, length: int, stop: str, show: Callable[[str], None]) -> WrittenText:
    """Writes up to ``length`` characters of one text, and shows them as they are drawn.

    A possible beginning of ``stop`` is held back until it is known not to be one.
    """
    began = time.perf_counter()
    shown: list[str] = []
    bits = 0.0
    count = 0
    held = ""
    stopped = False
    while count < length and not stopped:
        ids, probabilities = sampler.write(min(CHARACTERS_PER_BLOCK, length - count))
        held += sampler.vocabulary.decode(ids[:, 0])
        place = held.find(stop) if stop else -1
        stopped = place >= 0
        used = len(ids) - (len(held) - place - len(stop)) if stopped else len(ids)
        bits += sum(map(_bits, probabilities[:used, 0].tolist()))
        count += used
        ready = place if stopped else len(held) - (len(stop) - 1 if stop else 0)
        if ready > 0:
            show(held[:ready])
            shown.append(held[:ready])
        held = "" if stopped else held[max(0, ready) :]
    show(held)
    shown.append(held)
    return WrittenText(
        text="".join(shown),
        seconds=time.perf_counter() - began,
        bits_per_character=bits / count if count else None,
    )


def _bits(probability: float) -> float:
    """Returns the information in bits; a probability of 0 counts as the smallest float64."""
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


def _stop(text: str, vocabulary: Vocabulary) -> str:
    """Returns the stop text in the model's Unicode form; warns if the model can never write it."""
    stop = in_known_form(text, vocabulary)
    if lacking := unknown_symbols(stop, vocabulary):
        complain(
            f"--stop: the model never writes {shown_symbols(lacking)}, so nothing stops a text"
        )
    return stop


def _show_on_stdout(*, raw: bool) -> Callable[[str], None]:
    """Returns a function that writes to stdout; on a terminal the text is made printable."""
    on_terminal = sys.stdout.isatty()
    output, encoding = sys.stdout.buffer, sys.stdout.encoding
    stream = PrintableStream(keep_newlines=True)

    def show(text: str) -> None:
        if on_terminal and not raw:
            text = stream.feed(text)
        output.write(text.encode(encoding, "backslashreplace"))
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
        **to_record(sampling),
        "seed": seed,
        "characters": len(written.text),
        "seconds": round(written.seconds, 6),
        "characters_per_second": round(len(written.text) / max(written.seconds, 1e-9), 1),
        "bits_per_character": written.bits_per_character,
    }
