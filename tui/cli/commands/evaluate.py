"""``charlm-tui evaluate``: nats and bits per character of a text under a saved run."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from corpus import Corpus, CorpusError, load_corpus, resolve_source, split_ids
from model.runs.checkpoint import Checkpoint
from model.runs.reload_corpus import find_saved_text
from model.system.torch_import import require_torch
from tui.cli.commands.generate import find_checkpoint
from tui.cli.options import (
    checkpoint_option,
    checkpoints_option,
    encoding_option,
    exclude_option,
    include_option,
    json_option,
    offline_option,
    run_option,
)
from tui.console.exit_status import complain
from tui.console.output import say_json
from tui.sanitise import one_line

if TYPE_CHECKING:
    from model.evaluation.protocols import Scores

PLACES = 1000
"""Default number of cold starts."""


@click.command()
@click.argument("corpus", required=False)
@run_option
@checkpoint_option
@checkpoints_option
@click.option(
    "--cold-starts",
    "cold_places",
    type=click.IntRange(min=1),
    metavar="[N]",
    is_flag=False,
    flag_value=PLACES,
    default=None,
    help=f"Also start with a zero state at N places (default: {PLACES}), and count the places from "
    "which the model does not recover.",
)
@click.option(
    "--dynamic",
    "dynamically",
    is_flag=True,
    help="Also measure dynamic evaluation, which trains on each part of the text after scoring it "
    "(slow).",
)
@include_option
@exclude_option
@encoding_option
@offline_option
@json_option
def evaluate(corpus: str | None, **options: Any) -> None:
    """Measure the loss of a saved run (default: the newest) on a text.

    Without CORPUS, the text is the held-out part of the run's own text. The stateful loss reads the
    text in order and carries the state. The windowed loss is the mean over windows of 256
    characters, each from a cold start.
    """
    checkpoint = find_checkpoint(options["checkpoint"], options["root"], options["run"])
    ids = _ids_to_score(corpus, checkpoint, options)
    if len(ids) < 2:
        raise CorpusError(
            corpus or "the held-out part", "is too short to score", "name a longer text"
        )
    require_torch()
    from model.evaluation.protocols import evaluate as evaluate_checkpoint  # noqa: PLC0415 - torch takes two seconds

    began = time.perf_counter()
    scores = evaluate_checkpoint(
        checkpoint,
        ids,
        cold_places=options["cold_places"] or 0,
        dynamically=options["dynamically"],
    )
    seconds = round(time.perf_counter() - began, 3)
    if options["as_json"]:
        say_json(_record(scores, seconds))
        return
    metadata = checkpoint.metadata
    print(f"{one_line(metadata.run)} step {metadata.step}: {_sentence(scores, seconds)}")


def _record(scores: Scores, seconds: float) -> dict[str, float]:
    """Returns the JSON object with the documented keys and the requested ones."""
    record = {
        "characters": scores.characters,
        "nats_per_character": scores.nats_per_character,
        "bits_per_character": scores.nats_per_character / math.log(2),
        "windowed_nats_per_character": scores.windowed_nats_per_character,
        "seconds": seconds,
    }
    if (cold := scores.cold_starts) is not None:
        record |= {
            "cold_starts": cold.places,
            "lost": cold.lost,
            "cold_excess_nats_per_character": cold.excess,
            "worst_excess_nats_per_character": cold.worst_excess,
            "worst_nats_per_character": cold.worst_nats_per_character,
        }
    if scores.dynamic_nats_per_character is not None:
        record["dynamic_nats_per_character"] = scores.dynamic_nats_per_character
    return record


def _sentence(scores: Scores, seconds: float) -> str:
    nats = scores.nats_per_character
    parts = [
        f"{nats:.4f} nats, {nats / math.log(2):.4f} bits per character (stateful)",
        f"{scores.windowed_nats_per_character:.4f} nats (windows of 256, cold)",
    ]
    if (cold := scores.cold_starts) is not None:
        parts.append(
            f"lost at {cold.lost:,} of {cold.places:,} cold starts (worst: "
            f"{cold.worst_excess:+.4f} nats)"
        )
    if scores.dynamic_nats_per_character is not None:
        parts.append(f"{scores.dynamic_nats_per_character:.4f} nats (dynamic evaluation)")
    parts.append(f"{scores.characters:,} characters in {seconds:.1f} s")
    return "; ".join(parts)


def _ids_to_score(corpus: str | None, checkpoint: Checkpoint, options: dict[str, Any]) -> Any:
    """Returns the ids of the named text, or of the held-out part of the run's text."""
    source = checkpoint.metadata.source
    specification = source.specification if corpus is None else corpus
    if corpus is None and specification == "-":
        raise CorpusError("-", "the run read its text from standard input", "name a text")
    reading = source.options(encoding=options["encoding"])
    if corpus is not None:
        reading = replace(reading, encoding=options["encoding"], include=(), exclude=())
    if options["include"] or options["exclude"]:
        reading = replace(reading, include=options["include"], exclude=options["exclude"])
    loaded: Corpus = load_corpus(
        find_saved_text(specification, reading, offline=options["offline"])
        if corpus is None
        else resolve_source(specification, offline=options["offline"], options=reading),
        reading,
        vocabulary=checkpoint.metadata.vocabulary,
        unknown="skip",
    )
    for note in loaded.notes:
        complain(note)
    if corpus is not None:
        return loaded.ids
    if loaded.sha256 != source.sha256:
        complain(
            "the text is not the one that the run was trained on; the run may have seen its end"
        )
    return split_ids(loaded.ids, checkpoint.metadata.training.validation_fraction).held_out
