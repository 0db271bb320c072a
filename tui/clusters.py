"""Which code points share a cell of the screen, and what is drawn where terminals disagree.

The C library, tmux and xterm count the cells of each code point. Others, as kitty, count those of a
grapheme cluster (Unicode Standard Annex 29): a flag is two code points and one cluster. Where the
two counts differ, a border moves. So a cluster is drawn as code points that both count alike:

- a regional indicator as a circled letter, a skin tone as one of five circles;
- jamo that make a modern syllable as the syllable, and other ones as separate letters;
- joiners and selectors of emoji not at all: the emoji that they join stand side by side.

Scripts that cannot do without clusters keep them (Devanagari has vowel signs with a cell). Such a
cluster takes the sum of its cells (``tui.widths``), and what follows it is placed. Only the screen
shows stand-ins: what is copied, saved and searched is the text. The module knows code points, no
widths, and not which code points are safe (``tui.sanitise``).
"""

from __future__ import annotations

from itertools import takewhile
from typing import Final, Literal
from unicodedata import category, combining, east_asian_width, lookup, name, normalize

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
LONE_SIGN: Final = "\N{DOTTED CIRCLE}"
"""Drawn for a spacing sign that has nothing before it to stand on."""
MARKS_PER_BASE: Final = 4
"""Maximum number of combining marks on a base; a taller stack would paint over other lines."""

_JOINERS: Final = frozenset({"\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"})
_TONES: Final = tuple(map(chr, range(0x1F3FB, 0x1F400)))
_REGIONS: Final = map(chr, range(0x1F1E6, 0x1F200))
_CIRCLED: Final = map(chr, range(0x24B6, 0x24D0))
_JAMO: Final = frozenset(
    map(chr, (*range(0x1100, 0x1200), *range(0xA960, 0xA97D), *range(0xD7B0, 0xD7FC)))
)
_OTHERS: Final = frozenset(
    map(
        chr,
        (
            *(0x3164, 0xFFA0),  # invisible fillers
            *(0x302E, 0x302F, 0x16FF0, 0x16FF1),  # marks that the C library gives two cells
            *(0xD4E, 0x111C2, 0x111C3, 0x1193F, 0x11941, 0x11A3A, 0x11D46, 0x11F02),
            *range(0x11A84, 0x11A8A),  # letters that join the one after them
            *range(0x16D63, 0x16D6B),  # vowels that join each other
        ),
    )
)
_COUNTED_AS_MARKS: Final = frozenset("\u0e33\u0eb3\uff9e\uff9f")
"""Letters that belong to the one before: two vowels of Thai and Lao, two halfwidth sound marks."""
_VIRAMA: Final = 9
"""Canonical combining class of the signs that join two consonants."""


def _letter(jamo: str) -> str:
    """Returns the letter that is drawn for a jamo apart from others, or U+FFFD."""
    words = name(jamo, "").split()
    try:
        return lookup(" ".join((*words[:1], "LETTER", *words[2:])))
    except KeyError:
        return REPLACEMENT


STAND_INS: Final[dict[str, str]] = {
    **dict.fromkeys("\N{ZERO WIDTH JOINER}\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}", ""),
    **dict(zip(_REGIONS, _CIRCLED, strict=True)),
    **dict(zip(_TONES, "○◔◑◕●", strict=True)),
    **dict.fromkeys(_OTHERS, REPLACEMENT),
    **{jamo: _letter(jamo) for jamo in _JAMO},
}
"""What is drawn for a code point whose cells depend on the terminal and on its neighbours."""

JOINING: Final = _COUNTED_AS_MARKS | {
    character
    for character in map(chr, range(0x300, 0x20000))
    if (category(character) == "Mc" or combining(character) == _VIRAMA)
    and character not in STAND_INS
}
"""Drawn characters with which a cluster takes more than one cell by some counts: signs that have a
cell, but belong to the character before them, and viramas."""

_Kind = Literal["base", "letter", "mark", "sign", "jamo", "nothing"]


class _Kinds(dict[str, _Kind]):
    """The part that a code point takes in a cluster; fills itself with those that occur."""

    def __missing__(self, character: str) -> _Kind:
        kind = self[character] = _kind_of(character)
        return kind


def _kind_of(character: str) -> _Kind:
    if character in STAND_INS:
        if character in _JAMO:
            return "jamo"
        return "base" if STAND_INS[character] else "nothing"
    if is_mark(character):
        return "mark"
    if character in JOINING:
        return "sign"
    is_letter = category(character) == "Lo" and east_asian_width(character) == "N"
    return "letter" if is_letter else "base"


_KINDS: Final = _Kinds()


def is_mark(character: str) -> bool:
    """Tells whether the character is drawn onto the one before it and takes no cell."""
    return character > "\u02ff" and (character in _JOINERS or category(character) in {"Mn", "Me"})


def continues(before: str, character: str) -> bool:
    """Tells whether two neighbouring code points of a text are drawn as one where they can be.

    A page shapes the text itself; a change of style between the two would part them.
    """
    return character > "\u02ff" and (
        before == "\N{ZERO WIDTH JOINER}"
        or is_mark(character)
        or character in JOINING
        or character in _TONES
    )


def begun(character: str) -> str:
    """Returns what is drawn for the first code point of a cluster."""
    if character < "\u0300":
        return character
    return STAND_INS.get(character, LONE_SIGN if _KINDS[character] == "sign" else character)


def extended(cluster: str, character: str) -> str | None:
    """Returns a cluster as it is drawn once the next code point of the text belongs to it.

    Args:
        cluster: as ``begun`` and this function returned it; empty at the start of a line.
        character: the next code point.

    Returns:
        None if the code point begins another cluster. The cluster stays the same if nothing is
        drawn for the code point: no mark is drawn at the start of a line, nor above the fourth.
    """
    if character < "\u0300":
        return None
    match _KINDS[character]:
        case "nothing":
            return cluster
        case "mark":
            return cluster + character if _has_room(cluster) else cluster
        case "sign" if cluster:
            return cluster + character
        case "letter" if len(cluster) > 1 and _ends_in_virama(cluster):
            return cluster + character
        case "jamo" if len(cluster) == 1:
            return _syllable(cluster, character)
        case _:
            return None


def _has_room(cluster: str) -> bool:
    """Tells whether another mark is drawn onto a cluster."""
    end = cluster[-MARKS_PER_BASE:]
    return bool(cluster) and not (len(end) == MARKS_PER_BASE and all(map(is_mark, end)))


def _ends_in_virama(cluster: str) -> bool:
    """Tells whether a virama stands after the last letter of a cluster."""
    ending = takewhile(lambda character: _KINDS[character] in {"mark", "sign"}, reversed(cluster))
    return any(combining(character) == _VIRAMA for character in ending)


def _syllable(cluster: str, jamo: str) -> str | None:
    """Returns the syllable that a letter or a syllable makes with the next jamo, or None."""
    words = name(cluster, "").split()
    try:
        first = lookup(" ".join((*words[:1], "CHOSEONG", *words[2:])))
    except KeyError:
        first = cluster
    made = normalize("NFC", first + jamo)
    return made if len(made) == 1 else None


def clusters_of(text: str) -> list[str]:
    """Returns a printable text as the clusters that are drawn for it."""
    clusters: list[str] = []
    for character in text:
        last = clusters[-1] if clusters else ""
        joined = extended(last, character)
        if joined is None:
            clusters.append(begun(character))
        elif clusters:
            clusters[-1] = joined
    return clusters
