"""The validation curves of several runs in one chart, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from model.runs.decimate import Point
from model.runs.summary import RunSummary
from tui.sanitise import one_line
from tui.screens.dialog import Dialog
from tui.terminal.deferred import after_refresh
from tui.view.format import fixed
from tui.widgets.ascii_chart import ascii_rows
from tui.widgets.curve_chart import CurveChart, PlottedCurve
from tui.widgets.painted import Painted, Part, Row, row_width, sentence_in_the_middle

if TYPE_CHECKING:
    from textual.app import ComposeResult

FAR_ABOVE = 1.5
"""Points above this multiple of the lowest loss are left out, because they flatten the rest."""
SIGNS = "ox+*#@%&"
PAINTS = ("accent", "warn", "good", "bad", "key", "value", "strong", "label")
"""Paint of each run; runs beyond the last one are left out."""
_COLUMNS_PER_SIGN = 8
_MIN_COLUMNS_FOR_UNITS = 70
_MIN_ENTRY_CELLS = 16
"""Cells that an entry of the legend needs beside another one."""
_MIN_CHART_ROWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """A run in the comparison."""

    summary: RunSummary
    points: tuple[Point, ...]
    """(training seconds, nats per character) of its validations."""

    @property
    def best(self) -> float | None:
        """The lowest validation loss, nats per character."""
        return min((nats for _, nats in self.points), default=None)


class CompareScreen(Dialog[None]):
    """Validation curves of several runs over training time."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,c", "dismiss", "Close")]

    def __init__(self, runs: Sequence[ComparedRun], *, ascii_only: bool) -> None:
        super().__init__()
        self.runs = tuple(runs[: len(PAINTS)])
        self.legend = Painted(id="compare-legend")
        self.chart = ComparedCurves(self.runs, self.legend, ascii_only=ascii_only)

    def compose(self) -> ComposeResult:
        """Shows the legend and the chart below it."""
        with Vertical(classes="dialog -runs") as dialog:
            wide = self.app.size.width >= _MIN_COLUMNS_FOR_UNITS
            unit = "nats per character over seconds" if wide else "nats/char over time"
            dialog.border_title = f"Validation, {unit}"
            dialog.border_subtitle = "Esc closes"
            yield self.legend
            yield self.chart

    def on_resize(self) -> None:
        """Arranges the legend for the new size."""
        after_refresh(self, self._arrange)

    def _arrange(self) -> None:
        dialog = self.query_one(Vertical)
        inside = dialog.content_size
        words = difference_words(self.runs, inside.width)
        warning: list[Row] = [((words, "warn"),)] if words else []
        rows = legend_rows(self.runs, inside.width, inside.height - len(warning) - _MIN_CHART_ROWS)
        if inside.height - len(warning) - len(rows) >= _MIN_CHART_ROWS:
            rows = [*warning, *rows]
        elif words:  # the border has room for it
            dialog.border_subtitle = Content(words)
        self.legend.styles.height = len(rows)
        after_refresh(self, lambda: self.legend.present(rows))


class ComparedCurves(CurveChart):
    """The curves, in the colours of the legend and with a sign of each run."""

    def __init__(self, runs: Sequence[ComparedRun], legend: Painted, *, ascii_only: bool) -> None:
        super().__init__(ascii_only=ascii_only, id="compare-chart")
        self._legend = legend
        lowest = min((run.best for run in runs if run.best is not None), default=0.0)
        self._curves = [
            tuple((x, y) for x, y in run.points if y <= FAR_ABOVE * lowest) for run in runs
        ]

    def on_mount(self) -> None:
        """Draws again in the colours of another theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: after_refresh(self, self._show))

    def on_resize(self) -> None:
        """Draws for the new size."""
        after_refresh(self, self._show)

    def _show(self) -> None:
        if sum(map(len, self._curves)) < 2:
            words = "There are no two validations to compare yet."
            self.present(sentence_in_the_middle(words, *self.size))
        elif self._ascii_only:
            names = [f"{number}" for number in range(len(self._curves))]
            looks = dict(zip(names, zip(SIGNS, PAINTS, strict=True), strict=False))
            curves = dict(zip(names, self._curves, strict=True))
            self.present(ascii_rows(curves, *self.size, signs=looks, unit="s"))
        elif (plot := self.whole_plot(self._show)) is not None:
            styles = [str(self._legend.component_style(f"paint--{paint}")) for paint in PAINTS]
            seen = list(zip(self._curves, styles, SIGNS, strict=False))
            lines = [PlottedCurve(points=points, style=style) for points, style, _ in seen]
            signs = [
                PlottedCurve(points=points, style=style, sign=sign, reduced=some_of)
                for points, style, sign in seen
            ]
            self.draw(plot, [*lines, *signs])


def some_of(points: Sequence[Point], columns: int) -> list[Point]:
    """Returns evenly spaced points, the last one among them, so that signs leave the line free."""
    every = -(-len(points) * _COLUMNS_PER_SIGN // max(1, columns))
    return list(points[::-1][:: max(1, every)])


def legend_rows(runs: Sequence[ComparedRun], width: int, rows: int) -> list[Row]:
    """Returns the legend: sign, name and best loss of each run.

    Args:
        runs: in the order of their signs.
        width: cells of a row.
        rows: with more runs than this, entries stand beside each other where they are wide enough.
    """
    beside = min(-(-len(runs) // max(1, rows)), max(1, width // _MIN_ENTRY_CELLS))
    cells = width // beside
    entries: list[Part] = []
    for run, sign, paint in zip(runs, SIGNS, PAINTS, strict=False):
        end = f"  best {fixed(run.best, 4)}" if beside == 1 else f" {fixed(run.best, 4)}  "
        room = max(1, min(50, cells - len(sign) - 1 - len(end)))
        name = one_line(run.summary.name, room)
        while row_width(((name, paint),)) > room:  # of wide characters
            name = one_line(name, len(name) - 1)
        entry = f"{sign} {name}{end}"
        gap = cells - row_width(((entry, paint),)) if beside > 1 else 0
        entries.append((entry + " " * gap, paint))
    return [tuple(entries[start : start + beside]) for start in range(0, len(entries), beside)]


def difference_words(runs: Sequence[ComparedRun], width: int) -> str | None:
    """Returns a line on why the losses are not comparable; None if they are.

    The newest checkpoint of a run says on which text its validations were measured, and how. A run
    without one is left out.

    Args:
        runs: in any order.
        width: maximum length of the line, where a shorter sentence says it, too.
    """
    newest = [run.summary.checkpoints[-1].metadata for run in runs if run.summary.checkpoints]
    if len({metadata.source.sha256 for metadata in newest}) > 1:
        names = list(dict.fromkeys(one_line(metadata.source.name, 40) for metadata in newest))
        subjects = [f"Different texts ({', '.join(names)})"] if len(names) > 1 else []
        subjects.append("Different texts")
    elif len({metadata.measured_on for metadata in newest}) > 1:
        subjects = ["Different held-out parts or scoring", "Scored differently"]
    else:
        return None
    sentences = [
        f"{subject}: {conclusion}"
        for subject in subjects
        for conclusion in ("their losses cannot be compared.", "not comparable.")
    ]
    fitting = (each for each in sentences if row_width(((each, "warn"),)) <= width)
    return next(fitting, sentences[-1])
