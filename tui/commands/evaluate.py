"""``charlm-tui evaluate``: how many nats and bits a saved run pays per character of a text."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import click

from corpus import Corpus, CorpusError, CorpusOptions, load_corpus, resolve_source, split_ids
from model.checkpoint import Checkpoint
from tui.commands.generate import find_checkpoint
from tui.exit_status import complain
from tui.options import (
    checkpoint_option,
    checkpoints_option,
    encoding_option,
    json_option,
    offline_option,
    run_option,
)


@click.command()
@click.argument("corpus", required=False)
@run_option
@checkpoint_option
@checkpoints_option
@encoding_option
@offline_option
@json_option
def evaluate(corpus: str | None, **options: Any) -> None:
    """Score CORPUS, or the held-out part of the run's own text, with a saved run.

    Two protocols: stateful (the text in order, the state carried) and windowed (the mean over
    windows of 256 characters, each from a cold start).
    """
    checkpoint = find_checkpoint(options["checkpoint"], options["root"], options["run"])
    ids = _ids_to_score(corpus, checkpoint, options)
    if len(ids) < 2:
        raise CorpusError(
            corpus or "the held-out part", "has nothing to score", "name a text of some length"
        )
    from model.scoring import score  # noqa: PLC0415 - torch takes two seconds

    began = time.perf_counter()
    scores = score(checkpoint, ids)
    record = {
        "characters": scores.characters,
        "nats_per_character": scores.nats_per_character,
        "bits_per_character": scores.nats_per_character / math.log(2),
        "windowed_nats_per_character": scores.windowed_nats_per_character,
        "seconds": round(time.perf_counter() - began, 3),
    }
    if options["as_json"]:
        click.echo(json.dumps(record))
        return
    click.echo(
        f"{checkpoint.metadata.run} step {checkpoint.metadata.step}: "
        f"{record['nats_per_character']:.4f} nats, {record['bits_per_character']:.4f} bits per "
        f"character (stateful); {record['windowed_nats_per_character']:.4f} nats (windows of 256, "
        f"cold); {scores.characters:,} characters in {record['seconds']:.1f} s"
    )


def _ids_to_score(corpus: str | None, checkpoint: Checkpoint, options: dict[str, Any]) -> Any:
    """Returns the ids of the named text, or of the held-out part of the run's own."""
    source = checkpoint.metadata.source
    specification = corpus or source.specification
    if corpus is None and specification == "-":
        raise CorpusError("-", "the run read its text from standard input", "name a text")
    loaded: Corpus = load_corpus(
        resolve_source(specification, offline=options["offline"]),
        CorpusOptions(
            encoding=options["encoding"] or (source.encoding if corpus is None else None),
            lowercase=source.lowercase,
        ),
        vocabulary=checkpoint.metadata.vocabulary,
        unknown="skip",
    )
    for note in loaded.notes:
        complain(note)
    if corpus is not None:
        return loaded.ids
    if loaded.sha256 != source.sha256:
        complain("the text is not the one that the run was trained on; its end may be known to it")
    return split_ids(loaded.ids, checkpoint.metadata.training.validation_fraction).held_out
