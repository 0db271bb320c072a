"""The first ids of a text: its prompt, or a symbol that stands for none."""

from __future__ import annotations

from corpus import Vocabulary


def first_ids(prompt: str, vocabulary: Vocabulary) -> list[int]:
    """Returns what a text is begun with: the prompt's ids, or one that stands for "nothing yet".

    That is a line feed, else a space, else the first symbol.
    """
    if prompt:
        return [int(i) for i in vocabulary.encode(prompt)]
    known = [symbol for symbol in "\n " if symbol in vocabulary]
    return [vocabulary.id_of(known[0]) if known else 0]
