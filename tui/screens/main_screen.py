"""The one screen of the app: panes, and which of the state each of them shows.

It decides nothing and posts nothing: the app hands it the state and the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Container, Horizontal, Vertical
from textual.screen import Screen

from tui.screen_settings import ScreenSettings
from tui.view_state import ViewState
from tui.widgets.banner import Banner
from tui.widgets.frame import FrameEdge, status_words, title_words
from tui.widgets.header_bar import HeaderBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.loss_chart import LossChart
from tui.widgets.progress_row import ProgressRow
from tui.widgets.run_pane import RunPane
from tui.widgets.too_small import TooSmall
from tui.widgets.writing_pane import WritingPane

if TYPE_CHECKING:
    from textual.app import ComposeResult


class MainScreen(Screen[None]):
    """Header, loss curve, figures, progress, text, keys."""

    def __init__(self, settings: ScreenSettings) -> None:
        super().__init__(id="main-screen")
        self._settings = settings
        ascii_only = settings.ascii
        self.header = HeaderBar(id="header")
        self.banner = Banner(id="banner")
        self.chart = LossChart(ascii_only=ascii_only, id="chart")
        self.run_pane = RunPane(id="run")
        self.progress = ProgressRow(id="progress")
        self.title_edge = FrameEdge(id="writing-title")
        self.pane = WritingPane(ascii_only=ascii_only, id="text")
        self.status_edge = FrameEdge(id="writing-status")
        self.key_bar = KeyBar(id="keys")
        self.too_small = TooSmall(id="too-small")
        self.set_class(ascii_only, "-ascii")

    def compose(self) -> ComposeResult:
        """Puts the panes below each other."""
        yield self.too_small
        with Vertical(id="main"):
            yield self.header
            yield self.banner
            with Horizontal(id="upper"):
                chart_frame = Container(self.chart, id="chart-frame")
                chart_frame.border_title = "Training"
                yield chart_frame
                run_frame = Container(self.run_pane, id="run-frame")
                run_frame.border_title = "Run"
                yield run_frame
            yield self.progress
            with Vertical(id="writing"):
                yield self.title_edge
                yield Container(self.pane, id="writing-sides")
                yield self.status_edge
            yield self.key_bar

    def draw_figures(self, state: ViewState, now: float) -> None:
        """Draws the rows whose figures change: header, run, progress, banner."""
        settings = self._settings
        self.header.show(state, settings.title, now, ascii_only=settings.ascii)
        self.banner.show(state)
        self.run_pane.show(state, now, ascii_only=settings.ascii, spark=not settings.low_bandwidth)
        self.progress.show(state, now, ascii_only=settings.ascii)

    def draw_chart(self, state: ViewState, *, again: bool = False) -> None:
        """Draws the loss curve."""
        frame = self.chart.parent
        if isinstance(frame, Container):
            unit = "epochs" if state.progress.steps_per_epoch else "steps"
            words = f"nats per character over {unit}" if self.size.width >= 60 else "nats/char"
            if frame.border_subtitle != words:
                frame.border_subtitle = words
        if self.chart.is_on_screen or again:
            self.chart.show(state, again=again)

    def draw_title(self, state: ViewState, temperature: float) -> None:
        """Draws the upper edge of the writing pane."""
        width, ascii_only = self.title_edge.size.width, self._settings.ascii
        words = title_words(state, temperature, width, ascii_only=ascii_only)
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
        )
        if self._settings.ascii:
            words = tuple((text.replace("·", "|"), paint) for text, paint in words)
        self.status_edge.show(words, top=False, ascii_only=self._settings.ascii)
