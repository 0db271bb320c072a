"""Which symbols of a vocabulary may be written."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.constraint_config import Constraints
from model.errors import ConfigError

Allowed = npt.NDArray[np.bool_]
"""[V]: whether each symbol may be written."""


def allowed_symbols(constraints: Constraints, vocabulary: Vocabulary) -> Allowed | None:
    """Returns the symbols that may be written; None if all may.

    A forbidden or allowed letter stands for both of its cases, and for no accented form: with
    ``e`` forbidden, ``E`` is too, and ``é`` is not.

    Raises:
        ConfigError: nothing may be written, or lines are asked for and none can end, or none can
            begin with a letter of the acrostic.
    """
    forbidden, letters = _folded(constraints.forbid), _folded(constraints.allow)
    allowed = np.array(
        [
            symbol.casefold() not in forbidden
            and (not letters or not symbol.isalpha() or symbol.casefold() in letters)
            for symbol in vocabulary.symbols
        ]
    )
    if not allowed.any():
        option = "--forbid" if constraints.forbid else "--allow"
        raise ConfigError(option, "leaves the model no character", "forbid fewer, or allow more")
    if constraints.has_line_rules and "\n" not in vocabulary:
        raise ConfigError(
            "the rules for lines", "the model's text has no line feed", "leave them out"
        )
    if constraints.has_line_rules and not allowed[vocabulary.id_of("\n")]:
        raise ConfigError("--forbid", "a line cannot end without a line feed", "do not forbid it")
    writable = _folded(vocabulary.decode(allowed.nonzero()[0]))
    for letter in filter(str.isalpha, constraints.acrostic):
        if letter.casefold() not in writable:
            cause = f"no line can begin with {letter!r}, which the model may not or cannot write"
            raise ConfigError("--acrostic", cause, "give another word")
    return None if allowed.all() else allowed


def initial_symbols(letter: str, allowed: Allowed | None, vocabulary: Vocabulary) -> Allowed:
    """Returns the symbols that are a letter, in either case, and may be written."""
    wanted = np.array([symbol.casefold() == letter.casefold() for symbol in vocabulary.symbols])
    return wanted if allowed is None else wanted & allowed


def _folded(characters: str) -> set[str]:
    return {character.casefold() for character in characters}
