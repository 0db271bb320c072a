"""What is known of two models that write one text. No torch."""

from __future__ import annotations

from corpus import unknown_symbols
from model.events import AuthorsOpened
from model.runs.checkpoint import Checkpoint


def authors_opened(first: Checkpoint, second: Checkpoint) -> AuthorsOpened:
    """Returns the event that describes two models and the symbols that each lacks.

    Two checkpoints of one run have their steps behind its name.
    """
    both = (first.metadata, second.metadata)
    names = [metadata.run for metadata in both]
    if names[0] == names[1]:
        names = [f"{metadata.run}@{metadata.step}" for metadata in both]
    symbols = both[0].vocabulary.united_with(both[1].vocabulary).symbols
    lacking = [unknown_symbols("".join(symbols), metadata.vocabulary) for metadata in both]
    return AuthorsOpened(
        names=(names[0], names[1]), symbols=len(symbols), lacking=(lacking[0], lacking[1])
    )
