"""Fits a prompt to a model that knows only the characters of its text.

A model cannot read a symbol that it has never seen. A text may be composed (`é` is one character)
or decomposed (`e` and an accent). So a prompt is tried in both forms first, which look the same.
Other unknown characters are replaced by the nearest known character or left out, with a note for
the user.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpus.errors import CorpusError
from corpus.vocabulary import SHOWN_SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus.vocabulary import Vocabulary

MAX_PROMPT_CHARACTERS = 100_000
"""A longer prompt is probably a file that was given by mistake."""

_EQUIVALENTS = {
    "\t": (" ", "\n"),
    "\n": (" ",),
    "\N{NO-BREAK SPACE}": (" ",),
    "\N{NARROW NO-BREAK SPACE}": (" ",),
    "'": ("\N{RIGHT SINGLE QUOTATION MARK}", "\N{LEFT SINGLE QUOTATION MARK}", '"'),
    '"': ("\N{RIGHT DOUBLE QUOTATION MARK}", "\N{LEFT DOUBLE QUOTATION MARK}", "'"),
    "-": ("\N{HYPHEN}", "\N{EN DASH}", "\N{EM DASH}"),
    "\N{LEFT SINGLE QUOTATION MARK}": ("'", '"'),
    "\N{RIGHT SINGLE QUOTATION MARK}": ("'", '"'),
    "\N{SINGLE LOW-9 QUOTATION MARK}": ("'", ","),
    "\N{LEFT DOUBLE QUOTATION MARK}": ('"', "'"),
    "\N{RIGHT DOUBLE QUOTATION MARK}": ('"', "'"),
    "\N{DOUBLE LOW-9 QUOTATION MARK}": ('"', "'"),
    "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": ('"', "'"),
    "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}": ('"', "'"),
    "\N{HYPHEN}": ("-",),
    "\N{NON-BREAKING HYPHEN}": ("-",),
    "\N{EN DASH}": ("-", "--"),
    "\N{EM DASH}": ("--", "-"),
    "\N{MINUS SIGN}": ("-",),
    "\N{HORIZONTAL ELLIPSIS}": ("...", "."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPrompt:
    """A prompt in the model's characters, and the changes that were necessary."""

    text: str
    """Characters of the vocabulary only; may be empty."""

    replaced: tuple[tuple[str, str], ...] = ()
    """Pairs of a character and its replacement, in the order of first appearance."""

    dropped: tuple[str, ...] = ()
    """Characters that were left out, in the order of first appearance."""

    @property
    def changed(self) -> frozenset[str]:
        """Characters that were replaced or left out."""
        return frozenset((*(old for old, _ in self.replaced), *self.dropped))

    @property
    def note(self) -> str | None:
        """One sentence for the user about the changes; None if the prompt fitted unchanged.

        It holds printable characters only; others are written as `U+001B`.
        """
        said = self._said("became", "left out {}")
        if said is None:
            return None
        return f"The model's text lacks some of the prompt's characters: {said}."

    @property
    def preview(self) -> str | None:
        """The note in the future tense, for a prompt that is still being typed."""
        return self._said("will become", "{} will be left out")

    def _said(self, became: str, left_out: str) -> str | None:
        parts = []
        if self.replaced:
            pairs = [f"{_shown(old)} {became} {_shown(new)}" for old, new in self.replaced]
            parts.append(_listed(pairs))
        if self.dropped:
            parts.append(left_out.format(_listed([_shown(symbol) for symbol in self.dropped])))
        return "; ".join(parts) or None


def require_prompt(text: str) -> None:
    """Raises `CorpusError` if a prompt is longer than 100,000 characters."""
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise CorpusError(
            "--prompt",
            f"has {len(text):,} characters, more than {MAX_PROMPT_CHARACTERS:,}",
            "give a shorter one",
        )


def fit_prompt(text: str, vocabulary: Vocabulary) -> FittedPrompt:
    """Rewrites `text` in the characters of `vocabulary`.

    Three forms are tried: unchanged, NFC and NFD (Unicode's composed and decomposed). The first one
    with known characters alone is the result. Otherwise, each unknown character is replaced by
    the first known one of these: its decomposed form, its other letter case, a typographic
    equivalent (straight for curly quotes, `-` for a dash, a space for a tab), its base characters
    without accents. Without a replacement it is left out. CRLF becomes LF.

    Raises:
        CorpusError: the prompt is longer than 100,000 characters.
    """
    require_prompt(text)
    text = in_known_form(text.replace("\r\n", "\n").replace("\r", "\n"), vocabulary)
    known: dict[str, str] = {}
    for symbol in text:
        if symbol not in known:
            known[symbol] = _nearest(symbol, vocabulary)
    return FittedPrompt(
        text="".join(known[symbol] for symbol in text),
        replaced=tuple(
            (old, new) for old, new in known.items() if new and not _same_text(old, new)
        ),
        dropped=tuple(old for old, new in known.items() if not new),
    )


def unknown_symbols(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Returns the characters that `vocabulary` lacks, in the order of first appearance."""
    return tuple(symbol for symbol in dict.fromkeys(text) if symbol not in vocabulary)


def in_known_form(text: str, vocabulary: Vocabulary) -> str:
    """Returns `text` unchanged, in NFC or in NFD: the first form with known characters alone.

    Without such a form, returns NFC if more of it is known, otherwise `text` unchanged.
    """
    composed = unicodedata.normalize("NFC", text)
    for form in (text, composed, unicodedata.normalize("NFD", text)):
        if not unknown_symbols(form, vocabulary):
            return form
    return min(text, composed, key=lambda form: len(unknown_symbols(form, vocabulary)))


def _same_text(one: str, other: str) -> bool:
    """Returns whether two texts are equal apart from their Unicode form."""
    return one == other or unicodedata.normalize("NFD", one) == unicodedata.normalize("NFD", other)


def _nearest(symbol: str, vocabulary: Vocabulary) -> str:
    """Returns the replacement of `symbol` in known characters; empty if there is none."""
    for candidate in _candidates(symbol, vocabulary):
        if candidate and all(part in vocabulary for part in candidate):
            return candidate
    return ""


def _candidates(symbol: str, vocabulary: Vocabulary) -> Iterator[str]:
    yield symbol
    yield unicodedata.normalize("NFD", symbol)
    yield symbol.swapcase()
    yield from _EQUIVALENTS.get(symbol, ())
    decomposed = unicodedata.normalize("NFKD", symbol)
    bases = [part for part in decomposed if not unicodedata.combining(part)]
    yield "".join(bases)
    yield "".join(part if part in vocabulary else part.swapcase() for part in bases)


def _shown(text: str) -> str:
    if text.isprintable() and not text.isspace() and not unicodedata.combining(text[0]):
        return text
    return "a space" if text == " " else " ".join(f"U+{ord(symbol):04X}" for symbol in text)


def _listed(items: list[str]) -> str:
    more = len(items) - SHOWN_SYMBOLS
    listed = ", ".join(items[:SHOWN_SYMBOLS])
    return f"{listed} and {more} more" if more > 0 else listed
