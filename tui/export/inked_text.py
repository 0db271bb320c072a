"""A coloured text for a file: its runs, what the colours mean, and how they look. Pure.

The styles are those of ``tui.view.ink``. A file has two palettes, for light and for dark screens.
In both, each colour has a contrast of at least 4.5. Weight, underline and reverse repeat them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final, Literal

from tui.clusters import continues
from tui.view.ink import AUTHOR_BITS, SURPRISE_BITS, UNIT_LEVELS, InkKind, surprise_level
from tui.view.line_wrapper import Piece

Colour = Literal["page", "text", "muted", "warm", "hot", "cool", "prompt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a style looks, beside plain text."""

    colour: Colour = "text"
    bold: bool = False
    underlined: bool = False
    reversed: bool = False
    """The page's colour on a ground of ``colour``."""


LOOKS: Final[dict[str, Look]] = {
    "prompt": Look(colour="prompt"),
    "surprise-0": Look(colour="muted"),
    "surprise-1": Look(),
    "surprise-2": Look(colour="warm", bold=True),
    "surprise-3": Look(colour="warm", bold=True, underlined=True),
    "surprise-4": Look(colour="hot", bold=True, reversed=True),
    "new": Look(colour="warm", bold=True),
    "copied": Look(colour="cool", underlined=True),
    "unit-0": Look(colour="cool", bold=True, underlined=True),
    "unit-1": Look(colour="cool", underlined=True),
    "unit-2": Look(colour="muted"),
    "unit-3": Look(colour="warm", bold=True),
    "unit-4": Look(colour="warm", bold=True, reversed=True),
    "author-0": Look(colour="cool", bold=True, underlined=True),
    "author-1": Look(colour="cool", underlined=True),
    "author-2": Look(colour="muted"),
    "author-3": Look(colour="warm", bold=True),
    "author-4": Look(colour="warm", bold=True, reversed=True),
}
PALETTES: Final[dict[Literal["light", "dark"], dict[Colour, str]]] = {
    "light": {
        "page": "#ffffff",
        "text": "#1c1d21",
        "muted": "#6a6e76",
        "warm": "#8a5a00",
        "hot": "#b03a00",
        "cool": "#005f99",
        "prompt": "#00704f",
    },
    "dark": {
        "page": "#0c0d10",
        "text": "#e8e8e8",
        "muted": "#8e939c",
        "warm": "#f0e442",
        "hot": "#e8702a",
        "cool": "#56b4e9",
        "prompt": "#2bc79a",
    },
}


@dataclass(frozen=True, slots=True)
class InkedRun:
    """Characters of one style, as they were written."""

    text: str
    style: str
    """A name of ``LOOKS``, or empty for plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InkedText:
    """A text with its title and its legend."""

    title: str
    legend: tuple[InkedRun, ...]
    runs: tuple[InkedRun, ...]


def inked_text(
    title: str,
    pieces: Iterable[Piece],
    kind: InkKind,
    style_at: Callable[[int, InkKind], str | None],
) -> InkedText:
    """Returns the text after the last rule of a transcript.

    Args:
        title: of the file; foreign.
        pieces: of the transcript, the oldest first.
        kind: by what the text is coloured.
        style_at: ``Ink.style_at``.
    """
    runs: list[InkedRun] = []
    for piece in pieces:
        if piece.kind == "rule":
            runs.clear()
        elif piece.kind == "prompt":
            runs.append(InkedRun(piece.text, "prompt"))
        elif piece.kind == "text":
            places = range(piece.start, piece.start + len(piece.text))
            runs.extend(_runs(piece.text, [style_at(place, kind) or "" for place in places]))
    return InkedText(title=title, legend=legend_of(kind), runs=tuple(runs))


def text_inked_by_surprise(
    title: str, texts: Iterable[tuple[str, str, Sequence[float]]]
) -> InkedText:
    """Returns texts with a line between two of them.

    Args:
        title: of the file; foreign.
        texts: prompt, text and the probability of each of its characters, for each text.
    """
    runs: list[InkedRun] = []
    for prompt, text, probabilities in texts:
        if runs:
            runs.append(InkedRun("\n\n", ""))
        if prompt:
            runs.append(InkedRun(prompt, "prompt"))
        styles = [f"surprise-{surprise_level(probability)}" for probability in probabilities]
        runs.extend(_runs(text, styles))
    return InkedText(title=title, legend=legend_of("surprise"), runs=tuple(runs))


def legend_of(kind: InkKind) -> tuple[InkedRun, ...]:
    """Returns what each style of a kind means, in its style."""
    match kind:
        case "surprise":
            borders: tuple[float, ...] = (0.0, *SURPRISE_BITS)
            words = [f"{low:g} to {high:g} bits" for low, high in pairwise(borders)]
            words.append(f"over {SURPRISE_BITS[-1]:g} bits")
        case "unit":
            borders = (-1.0, *UNIT_LEVELS, 1.0)
            words = [f"activation {low:g} to {high:g}" for low, high in pairwise(borders)]
        case "author":
            one, three = AUTHOR_BITS[2:]
            words = [
                f"first model, over {three:g} bits", f"first model, {one:g} to {three:g} bits",
                "either", f"second model, {one:g} to {three:g} bits",
                f"second model, over {three:g} bits",
            ]  # fmt: skip
        case "novelty":
            return (InkedRun("not a word of the corpus", "new"), InkedRun("copied", "copied"))
        case "off":
            return ()
    return tuple(InkedRun(word, f"{kind}-{level}") for level, word in enumerate(words))


def _runs(text: str, styles: Sequence[str]) -> Iterator[InkedRun]:
    """Yields runs of the same style; a cluster has the style of its first code point."""
    kept: list[str] = []
    for index, style in enumerate(styles):
        joins = index > 0 and continues(text[index - 1], text[index])
        kept.append(kept[-1] if joins else style)
    start = 0
    for style, group in groupby(kept):
        end = start + sum(1 for _ in group)
        yield InkedRun(text[start:end], style)
        start = end
