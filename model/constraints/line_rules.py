"""Which whole lines fit: their first letter, length, pattern, rhyme and syllables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.constraint_config import USUAL_LINE_CHARACTERS, Constraints
from model.constraints.pattern import PatternMatcher
from model.constraints.verse import require_verse, rhyme, syllables_of_line


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePlace:
    """Where a line stands in the poem."""

    letter: int = 0
    """Index of the acrostic's letter that it begins with."""
    stanza: tuple[str, ...] = ()
    """Lines of the stanza before it."""


FIRST_LINE = LinePlace()


class LineRules:
    """Judges whole lines."""

    def __init__(self, constraints: Constraints) -> None:
        """Checks that the extra is there if verse is asked for.

        Raises:
            ConfigError: the extra "verse" is missing, or its language is not known.
        """
        self._constraints = constraints
        self._acrostic = [letter for letter in constraints.acrostic if letter.isalpha()]
        pattern = constraints.line_matches
        self._pattern = PatternMatcher(pattern) if pattern else None
        if constraints.has_verse:
            option = "--rhyme" if constraints.rhyme else "--syllables"
            require_verse(option, constraints.verse_language)

    @property
    def has_rhyme(self) -> bool:
        """Whether lines have to rhyme."""
        return bool(self._constraints.rhyme)

    @property
    def longest(self) -> int:
        """Most characters of a line that can fit, without the line feed."""
        limits = self._constraints.line_length
        return USUAL_LINE_CHARACTERS if limits is None else limits[1]

    def fits(self, lines: Sequence[str], place: LinePlace, *, rhyming: bool = True) -> list[bool]:
        """Returns for each line, without its line feed, whether it may stand at a place.

        Args:
            lines: the lines.
            place: where they would stand.
            rhyming: whether the scheme of rhymes counts, too.

        Raises:
            ConfigError: the pattern takes too long.
        """
        fitting = [
            self._fits(line, place) and (not rhyming or self._rhymes(line, place)) for line in lines
        ]
        if self._pattern is None or not any(fitting):
            return fitting
        candidates = [line for line, fits in zip(lines, fitting, strict=True) if fits]
        found = dict(zip(candidates, self._pattern.matches(candidates), strict=True))
        return [fits and found[line] for line, fits in zip(lines, fitting, strict=True)]

    def after(self, line: str, place: LinePlace) -> LinePlace:
        """Returns the place of the line that follows.

        The acrostic goes on to its next letter only if the line begins with the present one. A line
        without a letter is not part of a stanza.
        """
        stanza, letter = place.stanza, place.letter
        if self._acrostic and self._begins_right(line, place):
            letter = (letter + 1) % len(self._acrostic)
        if self._constraints.rhyme and any(map(str.isalpha, line)):
            stanza = (*stanza, line)
            stanza = stanza if len(stanza) < len(self._constraints.rhyme) else ()
        return LinePlace(letter=letter, stanza=stanza)

    def initial(self, line: str, place: LinePlace) -> str | None:
        """Returns the letter that a line must begin with; None if it has one, or any will do."""
        if not self._acrostic or any(map(str.isalpha, line)):
            return None
        return self._acrostic[place.letter]

    def close(self) -> None:
        """Ends the child process that matches the pattern, if there is one."""
        if self._pattern is not None:
            self._pattern.close()

    def _fits(self, line: str, place: LinePlace) -> bool:
        """Returns whether a line fits all rules but rhyme and pattern, the quickest rule first."""
        constraints = self._constraints
        if not _is_between(len(line), constraints.line_length):
            return False
        if self._acrostic and not self._begins_right(line, place):
            return False
        language, limits = constraints.verse_language, constraints.syllables
        return limits is None or _is_between(syllables_of_line(line, language), limits)

    def _begins_right(self, line: str, place: LinePlace) -> bool:
        """Returns whether the first letter is the acrostic's, in either case."""
        first = next(filter(str.isalpha, line), "")
        return first.casefold() == self._acrostic[place.letter].casefold()

    def _rhymes(self, line: str, place: LinePlace) -> bool:
        """Returns whether a line rhymes with the first line of the stanza that has its letter.

        The first line with a letter needs a word at its end, no more.
        """
        scheme, language = self._constraints.rhyme, self._constraints.verse_language
        if not scheme:
            return True
        partner = scheme.index(scheme[len(place.stanza)])
        if partner == len(place.stanza):
            return any(map(str.isalpha, line))
        return rhyme(place.stanza[partner], line, language)


def _is_between(number: int, limits: tuple[int, int] | None) -> bool:
    return limits is None or limits[0] <= number <= limits[1]
