"""``charlm-tui evaluate``: nats and bits per character of a text under a saved run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from corpus import (
    Corpus,
    CorpusError,
    CorpusOptions,
    Source,
    Split,
    load_corpus,
    resolve_source,
)
from model.ngram.ngram_model import MAX_ORDER, MIXED_SHARE, NgramModel
from model.runs.checkpoint import Checkpoint
from model.runs.reload_corpus import find_saved_text, parts_of
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _NgramScore:
    """What counts predict, alone and in a mixture with the run."""

    order: int
    """Characters of context."""
    characters: int
    """Characters that were counted."""
    nats_per_character: float
    mixed_nats_per_character: float
    """Of the mixture, stateful; `MIXED_SHARE` of it is the n-gram."""


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
@click.option(
    "--ngram",
    type=click.IntRange(0, MAX_ORDER),
    metavar="N",
    help="Also count the text that the run was trained on, and measure how well N characters of "
    "context predict by the counts: alone, and mixed with the run.",
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
    ids, own = _texts(corpus, checkpoint, options)
    if len(ids) < 2:
        if corpus is None:
            raise CorpusError(checkpoint.metadata.run, "holds out too little text", "name a text")
        raise CorpusError(corpus, "is too short to score", "name a longer text")
    model = None if own is None else _ngram_of(options["ngram"], own, checkpoint)
    require_torch()
    from model.evaluation.protocols import evaluate as evaluate_checkpoint  # noqa: PLC0415 - torch takes two seconds

    began = time.perf_counter()
    scores = evaluate_checkpoint(
        checkpoint,
        ids,
        cold_places=options["cold_places"] or 0,
        dynamically=options["dynamically"],
        keeps_losses=model is not None,
    )
    seconds = round(time.perf_counter() - began, 3)
    counted = None if model is None else _counted(model, ids, scores)
    metadata = checkpoint.metadata
    if options["as_json"]:
        scored = {"run": metadata.run, "step": metadata.step}
        say_json(scored | _record(scores, counted, seconds))
        return
    print(f"{one_line(metadata.run)} step {metadata.step}: {_sentence(scores, counted, seconds)}")


def _record(scores: Scores, counted: _NgramScore | None, seconds: float) -> dict[str, float]:
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
    if counted is not None:
        record |= {
            "ngram_order": counted.order,
            "ngram_counted_characters": counted.characters,
            "ngram_nats_per_character": counted.nats_per_character,
            "ngram_bits_per_character": counted.nats_per_character / math.log(2),
            "mixed_nats_per_character": counted.mixed_nats_per_character,
            "mixed_bits_per_character": counted.mixed_nats_per_character / math.log(2),
        }
    return record


def _sentence(scores: Scores, counted: _NgramScore | None, seconds: float) -> str:
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
    if counted is not None:
        parts.append(f"{counted.nats_per_character:.4f} nats ({counted.order}-gram)")
        mixed, share = counted.mixed_nats_per_character, 100 * MIXED_SHARE
        mixture = f"{100 - share:.0f} % network, {share:.0f} % {counted.order}-gram"
        parts.append(f"{mixed:.4f} nats ({mixture})")
    parts.append(f"{scores.characters:,} characters in {seconds:.1f} s")
    return "; ".join(parts)


def _ngram_of(order: int, own: Split, checkpoint: Checkpoint) -> NgramModel:
    """Counts a run's training part."""
    model = NgramModel.build(own.train, len(checkpoint.metadata.vocabulary), order)
    if model.note:
        complain(model.note)
    return model


def _counted(model: NgramModel, ids: Any, scores: Scores) -> _NgramScore:
    """Scores ids [T] with an n-gram model, and with its mixture with a network."""
    assert scores.losses is not None
    alone, mixed = model.nats_alone_and_mixed(ids, scores.losses, MIXED_SHARE)
    return _NgramScore(
        order=model.order,
        characters=model.characters,
        nats_per_character=alone,
        mixed_nats_per_character=mixed,
    )


def _texts(
    corpus: str | None, checkpoint: Checkpoint, options: dict[str, Any]
) -> tuple[Any, Split | None]:
    """Returns the ids to score, and the parts of the run's own text if n-grams are asked for.

    The ids are those of the named text, or of the held-out part of the run's text.
    """
    reading = checkpoint.metadata.source.options(encoding=options["encoding"])
    if corpus is not None:
        reading = replace(reading, encoding=options["encoding"], include=(), exclude=())
    if options["include"] or options["exclude"]:
        reading = replace(reading, include=options["include"], exclude=options["exclude"])
    offline, is_counted = options["offline"], options["ngram"] is not None
    if corpus is None:
        own = _own_parts(checkpoint, reading, offline=offline, is_scored=True)
        return own.held_out, own if is_counted else None
    found = resolve_source(corpus, offline=offline, options=reading)
    ids = _loaded(found, reading, checkpoint).ids
    if not is_counted:
        return ids, None
    as_trained = checkpoint.metadata.source.options()
    return ids, _own_parts(checkpoint, as_trained, offline=offline, is_scored=False)


def _own_parts(
    checkpoint: Checkpoint, reading: CorpusOptions, *, offline: bool, is_scored: bool
) -> Split:
    """Returns the parts of a run's own text for training and for validation.

    Args:
        checkpoint: of the run.
        reading: the way to read the text.
        offline: whether a text that would have to be downloaded is an error.
        is_scored: whether the held-out part is scored, so that another text can take its place.
    """
    source = checkpoint.metadata.source
    if source.specification == "-":
        remedy = "name a text" if is_scored else "leave out --ngram"
        raise CorpusError("-", "the run read its text from standard input", remedy)
    if is_scored:
        found = find_saved_text(source.specification, reading, offline=offline)
    else:
        found = resolve_source(source.specification, offline=offline, options=reading)
    loaded = _loaded(found, reading, checkpoint)
    if loaded.sha256 != source.sha256:
        complain(
            "the text is not the one that the run was trained on; the run may have seen its end"
        )
    return parts_of(loaded, checkpoint.metadata)


def _loaded(found: Source, reading: CorpusOptions, checkpoint: Checkpoint) -> Corpus:
    """Reads a text in the vocabulary of a run; prints the notes about it."""
    loaded = load_corpus(found, reading, vocabulary=checkpoint.metadata.vocabulary, unknown="skip")
    for note in loaded.notes:
        complain(note)
    return loaded
