"""The upper and lower edge of the writing pane, each a separate widget of one row.

A border title of Textual belongs to its container: changing one draws the whole pane again. The
count of characters changes all the time, so the edges are widgets here.
"""

from __future__ import annotations

from rich.cells import cell_len

from model.events import CharacterWritten
from tui.sanitise import one_line
from tui.view.find import Found
from tui.view.format import fixed, grouped, percent, short, slider
from tui.view.ink import bits_of
from tui.view.state import ViewState, Writing
from tui.widgets.painted import Painted, Part, Row, row_width
from tui.widgets.symbols import symbol_label

_SLIDER_CELLS = 11
_SLIDER_END = 2.0
RIVALS = 5
"""Characters that are named beside the one under the mouse."""
_AUTHOR_CELLS = 20
"""Widest name of a model on the upper edge."""
_EDGE_CELLS = 6  # corners, tracks and gaps around the words


class FrameEdge(Painted):
    """An edge with words in it."""

    def show(self, words: Row, *, top: bool, ascii_only: bool) -> None:
        """Draws the edge with its words: at the top on the left, at the bottom on the right."""
        self.present([edge_row(words, self.size.width, top=top, ascii_only=ascii_only)])


def edge_row(words: Row, width: int, *, top: bool, ascii_only: bool) -> Row:
    """Returns an edge as wide as the pane; words that do not fit are left out from the end."""
    left, right = ("+", "+") if ascii_only else (("╭", "╮") if top else ("╰", "╯"))
    track = "-" if ascii_only else "─"
    while words and row_width(words) > width - _EDGE_CELLS:
        words = words[:-1]
    fill = width - 2 - row_width(words)
    if words:
        words = ((" ", "edge"), *words, (" ", "edge"))
        fill -= 3
        if top:
            return ((left + track, "edge"), *words, (track * fill + right, "edge"))
        return ((left + track * fill, "edge"), *words, (track + right, "edge"))
    return ((left + track * fill + right, "edge"),)


def title_words(
    state: ViewState, temperature: float, width: int, *, ink: str, ascii_only: bool
) -> Row:
    """Returns the words of the upper edge: temperature, and the weights or the two models."""
    if state.authors is not None and state.writing.mix is not None:
        return _author_words(
            state.authors.names,
            state.writing.mix,
            temperature,
            width - _EDGE_CELLS,
            ink=ink,
            ascii_only=ascii_only,
        )
    words: list[Part] = [("Writing  ", "strong"), ("temperature ", "label")]
    greedy = " greedy" if temperature == 0 else ""
    words.append((f"{temperature:.2f}{greedy} ", "accent"))
    words.append((slider(temperature, _SLIDER_END, _SLIDER_CELLS, ascii_only=ascii_only), "accent"))
    if ink:
        words.append((f"  {ink}", "warn"))
    writing = state.writing
    if writing.weights_step is not None:
        progress, kind = state.progress, "live weights"
        if writing.weights_best:
            kind = "best weights"
        elif progress.role == "student" and writing.weights_step <= progress.network_since:
            kind = "teacher's weights"
        if width >= 76:
            kind += f", step {grouped(writing.weights_step)}"
        words.append((f"  {kind}", "label"))
    if writing.prompt and width >= 110:
        words.append((f"  prompt “{one_line(writing.prompt, 30)}”", "label"))
    return tuple(words)


def _author_words(
    names: tuple[str, str], mix: float, temperature: float, room: int, *, ink: str, ascii_only: bool
) -> Row:
    """Returns temperature, and the share of each model in the colour of its ink.

    Ink, slider and words are left out first where the edge is narrow; then names are cut.
    """
    second_share = round(100 * mix)
    shares = (f" {100 - second_share}%", f" {second_share}%")
    value: Part = (f"{temperature:.2f}", "accent")
    words: Row = (("Writing  ", "strong"), ("temperature ", "label"), value)
    track = slider(temperature, _SLIDER_END, _SLIDER_CELLS, ascii_only=ascii_only)
    inked: Row = ((f"  {ink}", "warn"),) if ink else ()
    heads: tuple[tuple[Row, Row], ...] = (
        ((*words, (f" {track}", "accent")), inked),
        (words, inked),
        ((("Writing ", "strong"), value), ()),
        ((value,), ()),
    )
    first, second = (_cut_to_cells(name, _AUTHOR_CELLS) for name in names)
    for head, tail in heads:
        left = room - row_width((*head, ("  ".join(shares), "label"), (" · ", "label"), *tail))
        if left >= cell_len(first + second):
            break
    first = _cut_to_cells(first, max(left // 2, left - cell_len(second)))
    second = _cut_to_cells(second, left - cell_len(first))
    return (
        *head,
        (f"  {first}{shares[0]}", "accent"),
        (" · ", "label"),
        (f"{second}{shares[1]}", "warn"),
        *tail,
    )


def _cut_to_cells(name: str, cells: int) -> str:
    """Returns a foreign name in at most ``cells`` cells; one that is too long ends in dots."""
    limit = max(1, cells)
    while cell_len(cut := one_line(name, limit)) > cells and limit > 1:
        limit -= 1
    return cut


def status_words(
    state: ViewState,
    rate: float,
    width: int,
    *,
    held: bool,
    following: bool,
    lines_below: int,
    found: Found | None = None,
    hovered: CharacterWritten | None = None,
    ascii_only: bool = False,
) -> Row:
    """Returns the words of the lower edge: rate, count, and which part of the text is visible.

    The rate and the count are left out first where the edge is narrow. While the mouse is over a
    character, the edge shows what the model gave it and its rivals.
    """
    if hovered is not None:
        return _hover_words(hovered, width - _EDGE_CELLS, ascii_only=ascii_only)
    pace = f"{short(rate)} char/s · ".replace(".0 ", " ")
    count = f"{grouped(state.writing.characters)} characters · "
    end: Row = (("  End follows", "label"),)
    if found is not None:
        place: Part = (found.label, "warn")
    elif any(crash.worker == "sampler" for crash in state.crashes):
        place, end = ("writing failed", "bad"), ()
    elif held:
        place, end = ("on hold", "warn"), ()
    elif following:
        place, end = ("following", "good"), ()
    else:
        place = (f"scrolled up {grouped(lines_below)}", "warn")
    rules: list[Row] = [
        ((f"{words} · ", "accent"), *tail)
        for words in constraint_words(state.writing)
        for tail in ((place, *end), (place,), ())
        if words
    ]
    choices: list[Row] = [
        *(((f"{pace}{count}", "label"), *row) for row in rules[:1]),
        *rules,
        ((f"{pace}{count}", "label"), place, *end),
        ((pace, "label"), place, *end),
        (place, *end),
        (place,),
    ]
    fitting = (row for row in choices if row_width(row) <= width - _EDGE_CELLS)
    return next(fitting, choices[-1])


def constraint_words(writing: Writing) -> tuple[str, ...]:
    """Returns what the text obeys and what that costs, long and short; empty if it is free.

    The cost of letters is a mean per character; that of a line stands beside the number of drafts
    that fit.
    """
    wished, drafted = writing.constraints, writing.drafted
    letters = f"no {one_line(wished.forbid, 8)}" if wished.forbid else ""
    letters = f"{letters} only {one_line(wished.allow, 8)}" if wished.allow else letters
    long, short = [letters.strip()], [letters.strip()]
    if writing.mask_bits is not None:
        cost = f" {writing.mask_bits:+.2f} bits"
        long[0], short[0] = long[0] + cost, short[0] + cost
    if drafted is None:
        waiting = "lines from drafts" if wished.has_line_rules else ""
        long, short = [*long, waiting], [*short, waiting]
    elif drafted.lacks_rhyme:
        long.append(f"none of {drafted.drafts} drafts rhymes; goes on without rhyme")
        short.append(f"0 of {drafted.drafts} rhyme")
    elif drafted.cost is None:
        long.append(f"none of {drafted.drafts} drafts fits; goes on without")
        short.append(f"0 of {drafted.drafts} fit")
    else:
        long.append(
            f"kept {drafted.kept} of {drafted.drafts} drafts, cost {drafted.cost:+.2f} bits"
        )
        short.append(f"{drafted.kept}/{drafted.drafts} {drafted.cost:+.2f} bits")
    return " · ".join(filter(None, long)), " · ".join(filter(None, short)), short[-1] or short[0]


def _hover_words(written: CharacterWritten, room: int, *, ascii_only: bool) -> Row:
    """Returns the bits of a character and as many of its five rivals as there is room for."""
    bits = f"{bits_of(written.probability):.1f} bits"
    label = symbol_label(written.character, ascii_only=ascii_only)
    words: Row = ((label, "accent"), (f" {bits}", "strong"), ("  not:", "label"))
    rivals = [item for item in written.candidates if item.character != written.character]
    for rival in rivals[:RIVALS]:
        name = symbol_label(rival.character, ascii_only=ascii_only)
        more: Row = ((f" {name}", "value"), (f" {percent(rival.probability)}", "label"))
        if row_width((*words, *more)) > room:
            break
        words = (*words, *more)
    return words


def temperature_label(temperature: float, *, ascii_only: bool) -> str:
    """Returns the mark that shows a change of temperature in the text."""
    value = fixed(temperature, 2)
    return f"<{value}>" if ascii_only else f"‹{value}›"  # noqa: RUF001 - meant
