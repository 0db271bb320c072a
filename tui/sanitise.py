"""Makes foreign text safe to show: text of a model, a corpus, a file name or an error.

A terminal obeys some characters instead of showing them, and reorders or hides others. Textual
and Rich pass most of these on unchanged. So all foreign text passes through this module on its way
to a screen. Where lines stand beside each other, ``drawn`` and ``one_line`` also remove what
terminals measure differently (``tui.clusters``). The module knows only code points, not widgets,
styles or widths.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tui.clusters import MARKS_PER_BASE, REPLACEMENT, STAND_INS, clusters_of, is_mark

_JOINERS: Final = frozenset({"\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"})
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, format characters (bidi, BOM, soft hyphen, tags), surrogates, private use,
unassigned code points, and the two separators that some terminals take for a new line."""

_TALL_STACK: Final = re.compile("[\u0300-\u20ff\u2cef-\uffff\U00010000-\U0010ffff]{5,}")
"""A cheap first test: if it finds nothing, no stack of marks is too tall. The gap between its
ranges holds no marks, but box-drawing and block characters."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _safe(character: str) -> str:
    """Returns the printable form of a character: itself, its control picture, or U+FFFD."""
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
_APART: Final = _SafeCharacters(
    {0x09: " ", **{ord(key): value for key, value in STAND_INS.items()}}
)


def replace_unprintable(text: str, *, keep_newlines: bool = False) -> str:
    """Returns the text with every character that a terminal might obey replaced, one for one.

    C0 controls and DEL become their Unicode pictures, a tabulator a space; C1 controls, bidi
    controls, invisible format characters, surrogates, private and unassigned code points become
    U+FFFD. Joiners and variation selectors stay: scripts and emoji need them.
    """
    return text.translate(_WITH_NEWLINES if keep_newlines else _ONE_LINE)


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
    """Returns foreign text without anything that a terminal would obey.

    The length stays the same, except that combining marks beyond the fourth of a base are removed.
    Emoji and flags stay whole: use it for plain output and for fields, and ``drawn`` for screens.
    """
    return cap_marks(replace_unprintable(text, keep_newlines=keep_newlines))


def drawn(text: str) -> str:
    """Returns foreign text as one line of the screen shows it, by ``tui.clusters``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(clusters_of(replace_unprintable(text)))


def drawn_apart(text: str) -> str:
    """Returns a part of a line with each code point drawn without regard to its neighbours.

    A part may begin within a cluster. It stays the same if ``drawn`` made the line.
    """
    return cap_marks(text.translate(_APART))


class PrintableStream:
    """Makes a text printable in pieces; combining marks are counted across the pieces."""

    def __init__(self, *, keep_newlines: bool = False) -> None:
        self._keep_newlines = keep_newlines
        self._height = 0

    def feed(self, text: str) -> str:
        """Returns the next piece as ``printable`` would return it within the whole text."""
        kept: list[str] = []
        for character in replace_unprintable(text, keep_newlines=self._keep_newlines):
            self._height = self._height + 1 if is_mark(character) else 0
            if self._height <= MARKS_PER_BASE:
                kept.append(character)
        return "".join(kept)


def one_line(text: str, limit: int = 200) -> str:
    """Returns foreign text as one printable line of at most ``limit`` characters.

    Runs of white space become one space. A text that is too long ends in an ellipsis. Use it for
    names, paths and error messages; it is ``drawn``.
    """
    line = drawn(" ".join(text[: 8 * limit].split()))
    return line if len(line) <= limit else f"{line[: max(0, limit - 1)]}…"


def harmless_json(line: str, *, ascii_only: bool = False) -> str:
    """Returns a JSON text in which everything that a terminal might obey is an escape.

    JSON itself escapes only the controls below U+0020. The value stays the same, and a lone
    surrogate becomes encodable. With ``ascii_only`` every other character is also an escape.
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
