"""Writes the texts of ``generate``, one by one or side by side. Imports no torch."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from model.config import SamplingConfig
from model.constraint_config import NO_CONSTRAINTS, Constraints
from model.constraints.letters import allowed_symbols
from model.events import LineDrafted
from model.runs.checkpoint import Checkpoint
from model.sampling.line_sampler import LineSampler
from model.sampling.sampler import Sampler
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.mixture import mixture, sole_author
from model.steppers.stepper import MakeBatchStepper
from model.system.cores import usable_cores
from tui.sanitise import one_line

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
    probabilities: Sequence[float] = ()
    """Of each character of the text, if they are kept."""
    mask_bits: float | None = None
    """What forbidden letters cost, mean bits per drawn character; None for an empty text."""
    drafted: Sequence[LineDrafted] = ()
    """What became of the drafts of each line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """The texts to write, and the function that shows them."""

    checkpoint: Checkpoint
    second: Checkpoint | None = None
    """A second model that writes the same texts."""
    mix: float = 0.5
    """Weight of the second model's probabilities, 0 to 1."""
    sampling: SamplingConfig
    constraints: Constraints = NO_CONSTRAINTS
    seeds: Sequence[int]
    prompt: str
    echo: bool
    """Whether the prompt is shown before each text."""
    length: int
    stop: str
    show: Callable[[str], None]
    make_stepper: MakeBatchStepper
    """Makes the stepper of the device, for one model; two write on the CPU."""
    keeps_probabilities: bool = False
    """Whether the texts have the probability of each character, which takes 8 bytes."""

    def texts(self) -> Iterator[WrittenText]:
        """Yields each text after it has been shown."""
        alone = len(self.seeds) == 1 or self.constraints.has_line_rules
        if alone or self.length > MAX_PARALLEL_CHARACTERS:
            return self._one_by_one()
        return self._side_by_side()

    def _one_by_one(self) -> Iterator[WrittenText]:
        """Shows each text character by character."""
        for seed in self.seeds:
            with closing(self._sampler([seed])) as sampler:
                self.show(self._beginning)
                written = write(
                    sampler, self.length, self.stop, self.show, keeps=self.keeps_probabilities
                )
            self.show(self._end_of(written))
            yield written

    def _side_by_side(self) -> Iterator[WrittenText]:
        """Writes a group of texts in parallel, and shows each when it is complete."""
        on_cpu = self.make_stepper is numpy_batch_stepper
        size = STREAMS_PER_THREAD * (usable_cores() if on_cpu else GROUPS_PER_DEVICE)
        for first in range(0, len(self.seeds), size):
            with closing(self._sampler(self.seeds[first : first + size])) as sampler:
                group = write_group(sampler, self.length, self.stop, keeps=self.keeps_probabilities)
            for written in group:
                self.show(self._beginning + written.text + self._end_of(written))
                yield written

    @property
    def models(self) -> str:
        """What writes, in printable words."""
        metadata = self.checkpoint.metadata
        words = f"{one_line(metadata.run)} step {metadata.step}"
        if self.second is None:
            return words
        metadata = self.second.metadata
        return f"{words} with {one_line(metadata.run)} step {metadata.step}, mix {self.mix:g}"

    @property
    def _beginning(self) -> str:
        return self.prompt if self.echo else ""

    def _end_of(self, written: WrittenText) -> str:
        """Returns a line feed after a text, also if the text has one; none if nothing is shown."""
        return "\n" if self._beginning or written.text else ""

    def _sampler(self, seeds: Sequence[int]) -> Sampler | LineSampler:
        weights = self.checkpoint.published()
        if self.second is not None:
            both = (weights, self.second.published(), self.mix)
            weights = sole_author(*both) or mixture(*both)
        if self.constraints.has_line_rules:
            return LineSampler(
                weights,
                self.constraints,
                sampling=self.sampling,
                seed=seeds[0],
                prompt=self.prompt,
            )
        return Sampler(
            weights.snapshot,
            weights.vocabulary,
            sampling=self.sampling,
            seeds=seeds,
            prompt=self.prompt,
            window=weights.window,
            make_stepper=self.make_stepper,
            allowed=allowed_symbols(self.constraints, weights.vocabulary),
        )


def write_group(
    sampler: Sampler | LineSampler, length: int, stop: str, *, keeps: bool = False
) -> list[WrittenText]:
    """Writes up to ``length`` characters of each text; ends when all have reached ``stop``.

    With ``keeps``, the texts have the probability of each character.
    """
    began = time.perf_counter()
    count = len(sampler)
    texts, bits, seconds = [""] * count, [0.0] * count, [0.0] * count
    written = [0] * count
    kept = [array("d") for _ in range(count)]
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
            if keeps:
                kept[number].extend(probabilities[:, number])
            written[number] += used
            seconds[number] = now if place < 0 else -now
        growing = [number for number in growing if seconds[number] >= 0]
    costs = sampler.mask_bits
    return [
        WrittenText(
            text=texts[number],
            seconds=abs(seconds[number]),
            bits_per_character=bits[number] / written[number] if written[number] else None,
            probabilities=kept[number][: len(texts[number])],
            mask_bits=float(costs[number]) / done if done else None,
        )
        for number in range(count)
    ]


def write(
    sampler: Sampler | LineSampler,
    length: int,
    stop: str,
    show: Callable[[str], None],
    *,
    keeps: bool = False,
) -> WrittenText:
    """Writes up to ``length`` characters of one text, and shows them as they are drawn.

    A possible beginning of ``stop`` is held back until it is known not to be one. With ``keeps``,
    the text has the probability of each character.
    """
    began = time.perf_counter()
    shown: list[str] = []
    bits = 0.0
    kept = array("d")
    count = drawn = 0
    held = ""
    stopped = False
    while count < length and not stopped:
        ids, probabilities = sampler.write(min(CHARACTERS_PER_BLOCK, length - count))
        drawn += len(ids)
        held += sampler.vocabulary.decode(ids[:, 0])
        place = held.find(stop) if stop else -1
        stopped = place >= 0
        used = len(ids) - (len(held) - place - len(stop)) if stopped else len(ids)
        bits += sum(map(_bits, probabilities[:used, 0].tolist()))
        if keeps:
            kept.extend(probabilities[:, 0])
        count += used
        ready = place if stopped else len(held) - (len(stop) - 1 if stop else 0)
        if ready > 0:
            show(held[:ready])
            shown.append(held[:ready])
        held = "" if stopped else held[max(0, ready) :]
    show(held)
    shown.append(held)
    text = "".join(shown)
    return WrittenText(
        text=text,
        seconds=time.perf_counter() - began,
        bits_per_character=bits / count if count else None,
        probabilities=kept[: len(text)],
        mask_bits=float(sampler.mask_bits[0]) / drawn if drawn else None,
        drafted=tuple(sampler.drafted),
    )


def _bits(probability: float) -> float:
    """Returns the information in bits; a probability of 0 counts as the smallest float64."""
    return -math.log2(probability) if probability > 0 else 1075.0
