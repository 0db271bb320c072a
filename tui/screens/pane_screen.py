"""The panes of the main screen, and which part of the state each of them shows.

Decides nothing and posts nothing: the caller hands over the state and the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.containers import Container, Horizontal, Vertical
from textual.scrollbar import ScrollBar, ScrollBarRender

from model.config import ModelConfig, SamplingConfig
from model.events import CharacterWritten, RankedUnit
from tui.config.acting_keys import keys_of
from tui.config.screen_settings import ScreenSettings
from tui.hints.hint_row import HintRow
from tui.lesson.lesson_pane import LessonPane
from tui.race.race_pane import RacePane
from tui.sanitise import one_line
from tui.terminal.frugal_compositor import FrugalScreen
from tui.view.chart_view import ChartView, fall_of
from tui.view.layout import PANES, PaneArrangement
from tui.view.state import MachineUse, ViewState
from tui.view.watched import trainer_words
from tui.widgets.banner import Banner
from tui.widgets.events_pane import EventsPane
from tui.widgets.frame import FrameEdge, status_words, title_words
from tui.widgets.growth_pane import GrowthPane
from tui.widgets.header_bar import HeaderBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.loss_chart import LossChart
from tui.widgets.painted import Row
from tui.widgets.progress_row import ProgressRow
from tui.widgets.run_pane import RunPane
from tui.widgets.sampling_pane import SamplingPane
from tui.widgets.too_small import TooSmall
from tui.widgets.writing_pane import WritingPane

if TYPE_CHECKING:
    from textual.app import ComposeResult


_IN_ASCII: Final = str.maketrans({"·": "|", "“": '"', "”": '"', "…": "~"})


_GROW: Final = frozenset({"chart", "race", "growth", "events"})
"""Ids of panes that take whatever width is left."""


class _WholeCells(ScrollBarRender):
    """Scroll bars that end at the border of a cell, where there are no signs for a half one."""

    VERTICAL_BARS = HORIZONTAL_BARS = [" "] * 8


class PaneScreen(FrugalScreen, inherit_bindings=False):
    """Header, hint, panes, progress, text, row of keys; without Textual's own bindings of Tab."""

    def __init__(self, settings: ScreenSettings) -> None:
        super().__init__(id="main-screen")
        self._settings = settings
        ascii_only = settings.ascii
        self.header = HeaderBar(id="header")
        self.hint_row = HintRow(id="hint")
        self.banner = Banner(id="banner")
        self.chart = LossChart(ascii_only=ascii_only, id="chart")
        self.run_pane = RunPane(id="run")
        self.sampling = SamplingPane(ascii_only=ascii_only, id="sampling")
        self.race = RacePane(ascii_only=ascii_only, id="race")
        self.growth = GrowthPane(ascii_only=ascii_only, id="growth")
        self.events_pane = EventsPane(id="events")
        self.progress = ProgressRow(id="progress")
        self.title_edge = FrameEdge(id="writing-title")
        self.pane = WritingPane(ascii_only=ascii_only, id="text")
        self.status_edge = FrameEdge(id="writing-status")
        self.key_bar = KeyBar(keys_of(settings.keymap, read_only=settings.read_only), id="keys")
        self.too_small = TooSmall(id="too-small")
        self.lesson = LessonPane(ascii_only=ascii_only, id="lesson")
        self.chart_view = ChartView(zoomed=True)
        self.panes = PaneArrangement(most=not settings.low_bandwidth)
        self.hovered: CharacterWritten | None = None
        """The character under the mouse."""
        self.unit: RankedUnit | None = None
        """The hidden unit that the text is coloured by."""
        self._frames = {
            pane.id: Container(id=f"{pane.id}-frame", classes="pane-frame") for pane in PANES
        }
        ScrollBar.renderer = _WholeCells if ascii_only else ScrollBarRender
        self.set_class(settings.hints, "-hints")

    def compose(self) -> ComposeResult:
        """Puts the panes below each other."""
        contents = {
            "chart": self.chart,
            "run": self.run_pane,
            "sampling": self.sampling,
            "race": self.race,
            "growth": self.growth,
            "events": self.events_pane,
        }
        yield self.too_small
        with Vertical(id="main"):
            yield self.header
            yield self.hint_row
            yield self.banner
            with Horizontal(id="upper"):
                for pane in PANES:
                    frame = self._frames[pane.id]
                    frame.border_title = f"{pane.digit} {pane.name}"
                    with frame:
                        yield contents[pane.id]
            yield self.progress
            with Vertical(id="writing"):
                yield self.title_edge
                yield Container(self.pane, id="writing-sides")
                yield self.status_edge
            yield self.key_bar
        yield self.lesson

    # --- which panes are visible ----------------------------------------------------------------

    @property
    def shown(self) -> tuple[str, ...]:
        """Ids of the visible panes."""
        return self.panes.shown

    def fit_panes(self, room: tuple[int, int]) -> None:
        """Shows the panes that are wanted and fit into these columns and rows."""
        self.panes.fit(self.lesson.take_place(self, room))
        self.arrange_panes()

    def arrange_panes(self) -> None:
        """Shows and hides the frames of the panes."""
        panes, shown = self.panes, self.panes.shown
        self.set_class(panes.is_low and bool(shown), "-alone")
        self.set_class(panes.maximised and bool(shown), "-maximised")
        self.set_class(not shown, "-text-only")
        for name, frame in self._frames.items():
            frame.display = name in shown
            frame.set_class(name == panes.active and len(shown) > 1, "-active")
            frame.set_class(shown[-1:] == (name,) and not _GROW.intersection(shown), "-fills")

    # --- drawing --------------------------------------------------------------------------------

    def draw_figures(self, state: ViewState, now: float, use: MachineUse) -> None:
        """Draws the rows whose figures change: header, run, progress, banner, log, samples."""
        settings = self._settings
        ascii_only = settings.ascii
        self.header.show(state, settings.title, now, self.panes, ascii_only=ascii_only)
        self.banner.show(state)
        spark = not settings.low_bandwidth
        self.run_pane.show(state, now, use, ascii_only=settings.ascii, spark=spark)
        self._name_run(state)
        self.progress.show(state, now, ascii_only=settings.ascii)
        shown = self.shown
        if "events" in shown:
            self.events_pane.show(state)
        if "growth" in shown:
            self.growth.show(state)
        if "race" in shown:  # new words on a frame redraw all of it, lanes included
            self._frames["race"].border_subtitle = self.race.words

    def _name_run(self, state: ViewState) -> None:
        """Shows the network, and which other process trains it, on the edges of the run's pane."""
        title = "2 Run"
        if state.layers and state.hidden:
            shape = ModelConfig(network=state.network, layers=state.layers, hidden=state.hidden)
            title = f"2 Run  {shape.title}"
        if self._frames["run"].border_title != title:
            self._frames["run"].border_title = title
        words = "" if state.watched is None else trainer_words(state.watched)
        words = one_line(words, max(1, self.run_pane.size.width))
        if (self._frames["run"].border_subtitle or "") != words:
            self._frames["run"].border_subtitle = words

    def draw_views(self, state: ViewState, sampling: SamplingConfig) -> None:
        """Draws the panes that follow the writing."""
        shown = self.shown
        if "sampling" in shown:
            self.sampling.show(state, sampling)
        if "race" in shown:
            self.race.show(state)

    def draw_chart(self, state: ViewState, *, again: bool = False) -> None:
        """Draws the curve."""
        frame = self._frames["chart"]
        view, epochs = self.chart_view, state.progress.steps_per_epoch is not None
        zoomed = fall_of(state, view) is not None
        words = view.words(epochs=epochs, wide=True, zoomed=zoomed)
        if self.size.width < 60 or len(words) + 4 > frame.outer_size.width:
            words = view.words(epochs=epochs, wide=False, zoomed=zoomed)
        if frame.border_subtitle != words:
            frame.border_subtitle = words
        if self.chart.is_on_screen or again:
            self.chart.show(state, view, again=again)

    def draw_title(self, state: ViewState, temperature: float) -> None:
        """Draws the upper edge of the writing pane."""
        ink = self.pane.ink.words
        if self.pane.ink.kind == "unit" and self.unit is not None:
            ink = f"unit {self.unit.unit}: {one_line(self.unit.words, 40)}"
        width, ascii_only = self.title_edge.size.width, self._settings.ascii
        words = title_words(state, temperature, width, ink=ink, ascii_only=ascii_only)
        words = _in_ascii(words) if ascii_only else words
        self.title_edge.show(words, top=True, ascii_only=ascii_only)

    def draw_status(self, state: ViewState, rate: float, *, held: bool) -> None:
        """Draws the lower edge of the writing pane."""
        words = status_words(
            state,
            rate,
            self.status_edge.size.width,
            held=held,
            following=self.pane.following,
            lines_below=self.pane.lines_below,
            found=self.pane.found,
            hovered=self.hovered,
            ascii_only=self._settings.ascii,
        )
        words = _in_ascii(words) if self._settings.ascii else words
        self.status_edge.show(words, top=False, ascii_only=self._settings.ascii)


def _in_ascii(words: Row) -> Row:
    """Returns words with ASCII in the place of their dots and quotation marks."""
    return tuple((text.translate(_IN_ASCII), paint) for text, paint in words)
