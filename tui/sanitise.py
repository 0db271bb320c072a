"""Makes foreign text safe to show: a model's, a corpus's, a file name's, an error's.

A terminal obeys some characters instead of showing them, and reorders or hides others. Textual
and Rich hand most of these on as they are, so everything that is not ours passes through here on
its way to a screen. This module knows code points only: no widget, no style, no width of a pane.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
MARKS_PER_BASE: Final = 4
"""Combining marks shown on one base character; a taller stack would paint over other lines."""

_JOINERS: Final = frozenset({"\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"})
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, format characters (bidi, BOM, soft hyphen, tags), surrogates, private use,
unassigned code points, and the two separators that some terminals take for a new line."""

_TALL_STACK: Final = re.compile("[\u0300-\u20ff\u2cef-\uffff\U00010000-\U0010ffff]{5,}")
"""A cheap first look: where it finds nothing, no stack of marks can be too tall. What is left out
between holds no marks, but the lines and dots that a screen is drawn with."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _safe(character: str) -> str:
    """Returns what is shown for one character: itself, its picture, or the replacement."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if character in _JOINERS:
        return character
    return REPLACEMENT if unicodedata.category(character) in _UNSAFE_CATEGORIES else character


class _SafeCharacters(dict[int, str]):
    """A table for ``str.translate`` that fills itself with the characters that occur."""

    def __missing__(self, code: int) -> str:
        shown = self[code] = _safe(chr(code))
        return shown


_ONE_LINE: Final = _SafeCharacters({0x09: " "})
_WITH_NEWLINES: Final = _SafeCharacters({0x09: " ", 0x0A: "\n"})


def replace_unprintable(text: str, *, keep_newlines: bool = False) -> str:
    """Returns the text with every character that a terminal might obey replaced, one for one.

    C0 controls and DEL become their Unicode pictures, a tabulator a space; C1 controls, bidi
    controls, invisible format characters, surrogates, private and unassigned code points become
    U+FFFD. Joiners and variation selectors stay: scripts and emoji need them.
    """
    return text.translate(_WITH_NEWLINES if keep_newlines else _ONE_LINE)


def is_mark(character: str) -> bool:
    """Tells whether the character is drawn onto the one before it and takes no cell."""
    return character > "\u02ff" and (
        character in _JOINERS or unicodedata.category(character) in {"Mn", "Me"}
    )


def cap_marks(text: str) -> str:
    """Returns the text with at most ``MARKS_PER_BASE`` combining marks on each base."""
    if not _TALL_STACK.search(text):
        return text
    kept: list[str] = []
    height = 0
    for character in text:
        height = height + 1 if is_mark(character) else 0
        if height <= MARKS_PER_BASE:
            kept.append(character)
    return "".join(kept)


def printable(text: str, *, keep_newlines: bool = False) -> str:
    """Returns foreign text in a form that any terminal shows and none obeys.

    As long as the text given, but for combining marks beyond the fourth of a base.
    """
    return cap_marks(replace_unprintable(text, keep_newlines=keep_newlines))


class PrintableStream:
    """Makes a text printable that comes in pieces: marks are counted across their borders."""

    def __init__(self, *, keep_newlines: bool = False) -> None:
        self._keep_newlines = keep_newlines
        self._height = 0

    def feed(self, text: str) -> str:
        """Returns the next piece as ``printable`` would, given all before it."""
        kept: list[str] = []
        for character in replace_unprintable(text, keep_newlines=self._keep_newlines):
            self._height = self._height + 1 if is_mark(character) else 0
            if self._height <= MARKS_PER_BASE:
                kept.append(character)
        return "".join(kept)


def one_line(text: str, limit: int = 200) -> str:
    """Returns foreign text as one printable line of at most ``limit`` characters.

    For names, paths and the sentences of errors: runs of white space become one space, and a
    text that is too long ends in an ellipsis.
    """
    line = printable(" ".join(text[: 8 * limit].split()))
    return line if len(line) <= limit else f"{line[: max(0, limit - 1)]}…"


def harmless_json(line: str, *, ascii_only: bool = False) -> str:
    """Returns a JSON text with whatever a terminal might obey written as an escape.

    JSON itself escapes only the controls below U+0020. The value stays the same, and a lone
    surrogate can be encoded; where only ASCII is wanted, everything else is an escape, too.
    """
    if line.isascii() and line.isprintable():
        return line
    return "".join(
        character
        if shown == character and (character.isascii() or not ascii_only)
        else _json_escape(character)
        for character, shown in zip(line, replace_unprintable(line), strict=True)
    )


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def encodable(text: str) -> str:
    """Returns the text in a form that UTF-8 can hold: lone surrogates become U+FFFD."""
    return _SURROGATE.sub(REPLACEMENT, text)
