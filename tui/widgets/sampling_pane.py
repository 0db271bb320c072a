"""What the next character is drawn from: temperature, cuts, and bars before and after them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Digits

from model.config import SamplingConfig
from model.events import NextDistribution
from tui.view.format import bar, fixed, percent
from tui.view.state import ViewState
from tui.widgets.painted import Painted, Part, Row, sentence_rows
from tui.widgets.symbols import padded_label

if TYPE_CHECKING:
    from textual.app import ComposeResult

_LABEL_CELLS = 3
_PERCENT_CELLS = 5
_MIN_BAR_CELLS = 4


class SamplingPane(Widget):
    """The temperature in large digits, facts beside it, bars below."""

    def __init__(self, *, ascii_only: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._ascii_only = ascii_only
        self.facts = Painted(id="sampling-facts")
        self.bars = Painted(id="sampling-bars")
        self._digits = Digits("", id="sampling-digits")

    def compose(self) -> ComposeResult:
        """Puts the temperature above the bars."""
        with Horizontal(id="sampling-top"):
            if not self._ascii_only:
                yield self._digits
            yield self.facts
        yield self.bars

    def show(self, state: ViewState, sampling: SamplingConfig) -> None:
        """Shows the sampler's last description of the next character."""
        value = f"{sampling.temperature:.2f}"
        if not self._ascii_only and self._digits.value != value:
            self._digits.update(value)
        distribution, seed = state.next_distribution, state.writing.seed
        self.facts.present(
            fact_rows(
                distribution,
                sampling,
                seed,
                wide=self.facts.size.width >= 27,
                ascii_only=self._ascii_only,
            )
        )
        width, height = self.bars.size
        self.bars.present(
            bar_rows(distribution, sampling.temperature, width, height, ascii_only=self._ascii_only)
        )


def fact_rows(
    distribution: NextDistribution | None,
    sampling: SamplingConfig,
    seed: int | None,
    *,
    wide: bool,
    ascii_only: bool,
) -> list[Row]:
    """Returns entropy, cuts and seed; in ASCII the temperature, too, which has no digits there."""
    arrow = "->" if ascii_only else "→"
    before = None if distribution is None else distribution.entropy / math.log(2)
    after = None if distribution is None else distribution.adjusted_entropy / math.log(2)
    entropy: Row = (
        ("entropy " if wide else "H ", "label"),
        (fixed(before, 2), "value"),
        (f" {arrow} ", "label"),
        (fixed(after, 2), "accent"),
        (" bits", "label"),
    )
    rules = (
        *_rule("k", sampling.top_k, off=0),
        *_rule("p", sampling.top_p, off=1),
        *_rule("min", sampling.min_p, off=0),
    )
    last: list[Part] = [*_rule("typ", sampling.typical, off=1)]
    last += [("seed ", "label"), ("-" if seed is None else str(seed), "value")]
    if ascii_only:
        last += [("  T ", "label"), (f"{sampling.temperature:.2f}", "strong")]
    return [entropy, rules, tuple(last)]


def _rule(name: str, value: float, *, off: float) -> Row:
    """Returns the setting of a truncation rule, which truncates nothing at the value ``off``."""
    words: Part = ("off", "label") if value == off else (f"{value:g}", "warn")
    return (f"{name} ", "label"), words, ("  ", "label")


def bar_rows(
    distribution: NextDistribution | None,
    temperature: float,
    width: int,
    height: int,
    *,
    ascii_only: bool,
) -> list[Row]:
    """Returns a row for each likely character: its bar before and after, or that it is cut."""
    if distribution is None:
        return sentence_rows("The bars appear with the first text.", width)
    cells = max(_MIN_BAR_CELLS, (width - _LABEL_CELLS - 2 * _PERCENT_CELLS - 2) // 2)
    field = cells + _PERCENT_CELLS
    own = "the model's own"
    before = (own if len(own) <= field else "own").ljust(field + 1)
    after = f"at {temperature:.2f}"
    if field >= len(kept := f"{after}, {distribution.kept} kept"):
        after = kept
    rows: list[Row] = [((" " * _LABEL_CELLS + before, "label"), (after, "label"))]
    for candidate in distribution.candidates[: max(0, height - 1)]:
        cut = candidate.adjusted == 0
        label = padded_label(candidate.character, _LABEL_CELLS, ascii_only=ascii_only)
        tail = "cut" if cut else percent(candidate.adjusted)
        rows.append(
            (
                (label, "faint" if cut else "strong"),
                (
                    _bar(candidate.probability, cells, ascii_only=ascii_only),
                    "faint" if cut else "label",
                ),
                (f"{percent(candidate.probability):>{_PERCENT_CELLS - 1}}  ", "label"),
                (_bar(candidate.adjusted, cells, ascii_only=ascii_only), "accent"),
                (f"{tail:>{_PERCENT_CELLS - 1}}", "bad" if cut else "accent"),
            )
        )
    return rows


def _bar(part: float, cells: int, *, ascii_only: bool) -> str:
    return bar(part, cells, ascii_only=ascii_only)[0].ljust(cells)
