"""What the keys of the main screen write to files: the curve, the samples, the text.

The files are made and written in a thread; the answer is a toast.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from tui.config.screen_settings import ScreenSettings
from tui.export.curve_figure import curve_figure
from tui.export.curve_file import Suffix, curve_bytes
from tui.export.inked_page import page_of
from tui.export.inked_picture import picture_of
from tui.export.inked_text import inked_text
from tui.export.sample_text import sample_text
from tui.sanitise import encodable
from tui.screens.pane_screen import PaneScreen
from tui.screens.session_host import SessionHost
from tui.view.absent import no_curve, no_samples
from tui.view.format import grouped
from tui.view.ink import InkKind


class FileScreen(PaneScreen):
    """The panes, with the actions that write files."""

    def __init__(self, settings: ScreenSettings, host: SessionHost) -> None:
        super().__init__(settings)
        self._host = host

    def action_write_curve(self, suffix: Suffix) -> None:
        """Writes the visible curve to a file, as dark as the theme."""
        figure = curve_figure(self._host.state, self.chart_view)
        if figure is None:
            words = f"There is no curve to write. {no_curve(self._host.state)}"
            self._host.say(words, severity="warning")
            return
        content = partial(curve_bytes, figure, suffix, dark=self.app.current_theme.dark)
        name = self.chart_view.metric.replace(" ", "-")
        self._host.write_file(f"{name}.{suffix}", "the curve", content)

    def action_write_samples(self) -> None:
        """Writes the samples of all epochs to a file."""
        state = self._host.state
        if not state.samples:
            words = f"There are no samples to write. {no_samples(state)}"
            self._host.say(words, severity="warning")
            return
        words = f"{grouped(len(state.samples))} samples"
        self._host.write_file("samples.txt", words, lambda: encodable(sample_text(state)).encode())

    def action_write_text(self) -> None:
        """Writes the text since the last restart to a file."""
        text = self.pane.transcript.current_text
        if not text:
            self._host.say("There is no text to write yet.", severity="warning")
            return
        words = f"{grouped(len(text))} characters"
        self._host.write_file("text.txt", words, lambda: encodable(text).encode())

    def action_write_inked(self, suffix: Literal["html", "svg"]) -> None:
        """Writes the text since the last restart in its colours; by surprise if the ink is off."""
        pane, run = self.pane, self._host.state.run
        kind: InkKind = "surprise" if pane.ink.kind == "off" else pane.ink.kind
        by = kind if kind != "unit" or self.unit is None else f"unit {self.unit.unit}"
        names = "" if run is None else f"{run.corpus}: {run.run}, "
        inked = inked_text(
            f"{names}coloured by {by}", pane.transcript.pieces, kind, pane.ink.style_at
        )
        if not inked.runs:
            self._host.say("There is no text to write yet.", severity="warning")
            return
        write = {"html": page_of, "svg": picture_of}[suffix]
        words = f"{grouped(sum(len(run.text) for run in inked.runs))} coloured characters"
        self._host.write_file(f"text.{suffix}", words, lambda: write(inked).encode())
