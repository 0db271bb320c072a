"""Syllables and rhymes of lines, with the extra "verse": pronouncing and pyphen.

English words are looked up in the CMU Pronouncing Dictionary. Words that it lacks, and other
languages, are judged by their letters: pyphen's hyphenation for syllables, the last letters for
rhymes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from typing import Final

from model.errors import ConfigError

EXTRA: Final = "verse"
PACKAGES: Final = ("pronouncing", "pyphen")
MIN_RHYMING_LETTERS: Final = 3
"""Last letters that two words share if they rhyme by their letters."""
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_VOWELS: Final = re.compile("[aeiouy]+")
_SILENT_E: Final = re.compile(r"(?<=[^aeiouy])(?<![bcdfgkptz]l)e$")
_ENDING: Final = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýœ]+[^aeiouy]*e?$")


def require_verse(option: str, language: str) -> None:
    """Checks that the extra is installed and knows the language.

    Raises:
        ConfigError: a package is missing, or pyphen has no such language.
    """
    if any(find_spec(package) is None for package in PACKAGES):
        raise ConfigError(
            option,
            f"the extra {EXTRA!r} is not installed",
            f"pip install 'charlm-tui[{EXTRA}]'",
        )
    from pyphen import language_fallback  # noqa: PLC0415 - an extra

    if language_fallback(language) is None:
        raise ConfigError(
            "--verse-language",
            f"{language!r:.40} is not known",
            "give one of pyphen's, as en, de or fr",
        )


def words_of(line: str) -> list[str]:
    """Returns the words of a line in lower case."""
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(line)]


def syllables_of_line(line: str, language: str) -> int:
    """Returns the number of syllables of a line."""
    return sum(syllables(word, language) for word in words_of(line))


@lru_cache(20_000)
def syllables(word: str, language: str) -> int:
    """Returns the number of syllables of a word in lower case, at least 1.

    Of several pronunciations the first counts. Hyphenation misses some syllables of English words,
    so that the groups of vowels count if there are more of them.
    """
    if phones := _pronunciations(word, language):
        return sum(phone[-1].isdigit() for phone in phones[0])
    hyphenated = len(_hyphenator(language).positions(word)) + 1
    return max(hyphenated, _vowel_groups(word)) if _is_english(language) else hyphenated


def rhyme(first: str, second: str, language: str) -> bool:
    """Returns whether the last words of two lines rhyme; a word does not rhyme with itself."""
    one, other = words_of(first)[-1:], words_of(second)[-1:]
    return bool(one and other and one != other and _words_rhyme(one[0], other[0], language))


@lru_cache(20_000)
def _words_rhyme(one: str, other: str, language: str) -> bool:
    """Returns whether two words have the same sounds from their last stressed vowel on.

    If the dictionary lacks one of them, the same last letters from the last vowel on, but at least
    `MIN_RHYMING_LETTERS`.
    """
    ours, theirs = _pronunciations(one, language), _pronunciations(other, language)
    if ours and theirs:
        return not {*map(_rhyming_part, ours)}.isdisjoint(map(_rhyming_part, theirs))
    return _last_letters(one) == _last_letters(other)


def _last_letters(word: str) -> str:
    found = _ENDING.search(word)
    length = 0 if found is None else len(word) - found.start()
    return word[-max(length, MIN_RHYMING_LETTERS) :]


def _rhyming_part(phones: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the phones from the last stressed vowel on, without their stress.

    A word without a stressed vowel rhymes from its last vowel on.
    """
    vowels = [place for place, phone in enumerate(phones) if phone[-1].isdigit()]
    stressed = [place for place in vowels if phones[place][-1] in "12"]
    start = (stressed or vowels or [0])[-1]
    return tuple(phone.rstrip("012") for phone in phones[start:])


def _pronunciations(word: str, language: str) -> list[tuple[str, ...]]:
    """Returns the phones of each pronunciation in the dictionary; none if it lacks the word."""
    if not _is_english(language):
        return []
    from pronouncing import phones_for_word  # noqa: PLC0415 - an extra, half a second

    return [tuple(phones.split()) for phones in phones_for_word(word)]


def _vowel_groups(word: str) -> int:
    """Returns the number of groups of vowels in an English word, without a silent e at its end."""
    return len(_VOWELS.findall(_SILENT_E.sub("", word)))


def _is_english(language: str) -> bool:
    return language.partition("_")[0] == "en"


@lru_cache(8)
def _hyphenator(language: str):  # type: ignore[no-untyped-def]
    from pyphen import Pyphen  # noqa: PLC0415 - an extra

    return Pyphen(lang=language, left=1, right=1)
