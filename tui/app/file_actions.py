"""What the keys that write files do: each says the path, and none overwrites anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tui.app.view_actions import ViewActions
from tui.export.curve_figure import curve_figure
from tui.export.new_file import write_new_file
from tui.export.png import png_of
from tui.export.sample_text import sample_text
from tui.export.svg import svg_of, without_foreign_fonts
from tui.sanitise import encodable, one_line
from tui.terminal.deferred import after_refresh
from tui.view.format import grouped


class FileActions(ViewActions):
    """Writes the text, the curve, the samples and the screen to new files."""

    def action_write_text(self) -> None:
        """Writes the text since the last restart."""
        text = self.pane.transcript.current_text
        if not text:
            self.say("There is no text to write yet.", severity="warning")
            return
        self._write(
            "text.txt", f"{grouped(len(text))} characters", lambda: encodable(text).encode()
        )

    def action_write_curve(self, suffix: str) -> None:
        """Writes the curve that is looked at, as SVG or as PNG."""
        figure = curve_figure(self.state, self.main_screen.chart_view)
        if figure is None:
            self.say("There is no curve to write yet.", severity="warning")
            return
        name = self.main_screen.chart_view.metric.replace(" ", "-")
        made = {"svg": lambda: encodable(svg_of(figure)).encode(), "png": lambda: png_of(figure)}[
            suffix
        ]
        self._write(f"{name}.{suffix}", "the curve", made)

    def action_write_samples(self) -> None:
        """Writes the samples of all epochs."""
        state = self.state
        if not state.samples:
            self.say(
                "There are no samples yet: they are written after each epoch.", severity="warning"
            )
            return
        words = f"{grouped(len(state.samples))} samples"
        self._write("samples.txt", words, lambda: encodable(sample_text(state)).encode())

    def action_write_screen(self) -> None:
        """Writes the screen as it is, dialogs included."""
        self.clear_notifications()
        after_refresh(self, self._write_screen)

    def _write_screen(self) -> None:
        svg = self.export_screenshot(title="charlm-tui")
        self._write(
            "screen.svg", "the screen", lambda: encodable(without_foreign_fonts(svg)).encode()
        )

    def _write(self, kind: str, words: str, content: Callable[[], bytes]) -> None:
        """Makes and writes a file without stopping the screen, and says where it is.

        Args:
            kind: what it is called after the run, with its suffix.
            words: what it holds.
            content: makes it; is called by a thread.
        """
        self.run_worker(self._write_and_say(kind, words, content), group="files")

    async def _write_and_say(self, kind: str, words: str, content: Callable[[], bytes]) -> None:
        run = self.state.run.run if self.state.run else self.settings.title
        chosen = self.settings.text_folder

        def work() -> Path:
            return write_new_file(chosen or Path.cwd(), run, kind, content())

        try:
            path = await asyncio.to_thread(work)
        except OSError as error:
            place = one_line(str(error.filename or chosen or "."), 120)
            cause = one_line(error.strerror or str(error), 120)
            self.say(f"{place}: {words} could not be written: {cause}", severity="error")
        else:
            self.say(f"Wrote {words} to {one_line(str(path), 160)}")
