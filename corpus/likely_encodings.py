"""Which encodings a text that is not UTF-8 may be in, for the remedy of an error.

Nearly every byte means something in every old encoding, so that one decodes proves little: a wrong
one gives other characters without a word. Here each is tried strictly, and what comes out is
compared with what its readers write every day. It is a hint for a person, never a decision.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Final

SAMPLE_BYTES: Final = 1 << 16
"""Length of the examined part of a text."""

_MIN_COMMON_SHARE: Final = 0.6
"""Minimum share of common characters for an encoding to be named."""
_MIN_SHARE_OF_BEST: Final = 0.97
"""Minimum share, relative to that of the best encoding, for a second one to be named."""

_PUNCTUATION: Final = frozenset("‘’‚“”„–—…«»°§€£·•©№\u00a0")  # noqa: RUF001 - meant
_WESTERN: Final = frozenset("àâäáãåæçèéêëìíîïñòóôöõøùúûüÿßœÀÂÄÁÃÅÆÇÈÉÊËÍÎÑÓÔÖØÚÜŒ¿¡")
_CENTRAL: Final = frozenset("áâäčďéěëíîňóôöřšťúůüýžąćęłńśźżőűăşţßÁČĎÉĚÍŇÓÖŘŠŤÚÜÝŽĄĆĘŁŃŚŹŻŐŰĂŞŢ")
_TURKISH: Final = frozenset("çğıöşüâîûÇĞİÖŞÜ")
_LOWER_CYRILLIC: Final = frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґўђјљњћџ")
_CJK_PUNCTUATION: Final = re.compile("[\u3000-\u303f\uff00-\uff5e\u2010-\u2026]")
_KANA: Final = re.compile("[\u3041-\u30fe]")


def _in_rows(encoding: str, first: int, last: int) -> Callable[[str], bool]:
    """Returns whether a character stands in these rows of a two-byte encoding: the common ones."""

    def is_common(character: str) -> bool:
        code = character.encode(encoding, "ignore")
        return len(code) == 2 and first <= code[0] <= last

    return cache(is_common)


_simplified = _in_rows("gb2312", 0xB0, 0xD7)
_traditional = _in_rows("big5", 0xA4, 0xC6)
_kanji = _in_rows("euc_jp", 0xB0, 0xCF)
_hangul = _in_rows("euc_kr", 0xB0, 0xC8)


def _japanese(character: str) -> bool:
    return bool(_KANA.match(character)) or _kanji(character)


def _is_chinese(character: str) -> bool:
    return not _KANA.match(character) and _simplified(character)


def _is_traditional(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff" and _traditional(character)


def _between(first: str, last: str) -> Callable[[str], bool]:
    return lambda character: first <= character <= last


def _any_script(character: str) -> bool:
    return any(is_common(character) for _, is_common, _ in _CANDIDATES) or (
        character.isascii() and (character.isprintable() or character in "\t\n\r")
    )


_CANDIDATES: Final[tuple[tuple[str, Callable[[str], bool], bool], ...]] = (
    # Name, what is everyday, and whether its letters stand beside those of ASCII, as in "café".
    # Where two are as good, the one that fewer texts can be in goes first.
    ("latin-1", _WESTERN.__contains__, True),
    ("cp1252", _WESTERN.__contains__, True),
    ("euc_kr", _hangul, False),
    ("euc_jp", _japanese, False),
    ("shift_jis", _japanese, False),
    ("gb18030", _is_chinese, False),
    ("big5", _is_traditional, False),
    ("cp1255", _between("\u05d0", "\u05ea"), False),
    ("cp1253", _between("\u03ac", "\u03ce"), False),
    ("cp874", _between("\u0e01", "\u0e5b"), False),
    ("cp1256", _between("\u0621", "\u0652"), False),
    ("cp1251", _LOWER_CYRILLIC.__contains__, False),
    ("koi8-r", _LOWER_CYRILLIC.__contains__, False),
    ("cp1250", _CENTRAL.__contains__, True),
    ("cp1254", _TURKISH.__contains__, True),
)
_ASCII_BESIDE: Final = re.compile("(?<=[A-Za-z])[^\x00-\x7f]|[^\x00-\x7f](?=[A-Za-z])")


def likely_encodings(sample: bytes, *, but: str = "") -> list[str]:
    """Returns the names of at most two encodings that the text of `sample` may be in, best first.

    Args:
        sample: bytes that begin at a character; they may end within one.
        but: an encoding that it is not in.
    """
    sample = sample[:SAMPLE_BYTES]
    shares = {"utf-8": _share("utf-8", sample, lambda _: True)}
    if b"\0" in sample:  # half of a space or of a line feed
        shares |= {name: _share(name, sample, _any_script) for name in ("utf-16-le", "utf-16-be")}
    else:
        for name, is_common, beside in _CANDIDATES:
            shares[name] = _share(name, sample, is_common, beside_ascii=beside)
    excluded = codecs.lookup(but).name if but else ""
    encodings = [
        name
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
        if share >= _MIN_COMMON_SHARE and codecs.lookup(name).name != excluded
    ]
    return [
        name for name in encodings[:2] if shares[name] >= _MIN_SHARE_OF_BEST * shares[encodings[0]]
    ]


def _share(
    name: str,
    sample: bytes,
    is_common: Callable[[str], bool],
    *,
    beside_ascii: bool | None = None,
) -> float:
    """Returns the share of common ones among the non-ASCII characters; 0 if decoding fails."""
    try:
        text = codecs.getincrementaldecoder(name)("strict").decode(sample)
    except UnicodeError:
        return 0.0
    if is_common is _japanese and not _KANA.search(text):
        return 0.0
    if name.startswith("utf-16"):
        counted = Counter(text)
    else:
        counted = Counter(character for character in text if not character.isascii())
    wrong = Counter[str]()
    if beside_ascii is not None:
        beside = Counter(match.group() for match in _ASCII_BESIDE.finditer(text))
        wrong = counted - beside if beside_ascii else beside
    common = 0
    for character, count in counted.items():
        if character in _PUNCTUATION or _CJK_PUNCTUATION.match(character):
            common += count
        elif is_common(character):
            common += count - wrong[character]
    return common / max(1, counted.total())
