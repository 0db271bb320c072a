"""The app: what each key does.

``LiveApp`` shows the session; here the keys of ``tui.keys`` become commands to it, questions and
files. An action never waits and never fails: a file system that refuses is a toast.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import SystemCommand
from textual.binding import BindingType

from model.commands import (
    ContinueTraining,
    ContinueWriting,
    HoldWriting,
    PauseTraining,
    RestartWriting,
    SaveCheckpoint,
    SetRate,
    SetTemperature,
    StopTraining,
)
from model.config import MAXIMUM_TEMPERATURE
from tui.keys import KEYS, bindings
from tui.live_app import LiveApp
from tui.sanitise import encodable, one_line
from tui.screen_settings import RATES
from tui.screens.entry import PromptEntry, TemperatureEntry
from tui.screens.help_screen import HelpScreen
from tui.screens.question import QuitQuestion
from tui.text_file import write_text_file
from tui.widgets.figures import grouped

if TYPE_CHECKING:
    from textual.screen import Screen

CLIPBOARD_BYTES = 50_000
"""Terminals refuse a longer OSC 52; the end of a longer text is copied."""


class CharlmApp(LiveApp):
    """Shows one session and lets its user steer it."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings())

    @property
    def trains_now(self) -> bool:
        """Whether there is a training that could be lost."""
        crashed = any(crash.worker == "trainer" for crash in self.state.crashes)
        return self.settings.trains and self.state.finished is None and not crashed

    # --- temperature ----------------------------------------------------------------------------

    def action_change_temperature(self, change: float) -> None:
        """Raises or lowers the temperature."""
        self.action_set_temperature(round(self.temperature + change, 2))

    def action_set_temperature(self, temperature: float) -> None:
        """Sets the temperature and says so at once; the sampler follows."""
        self.temperature = min(MAXIMUM_TEMPERATURE, max(0.0, temperature))
        self.temperature_posted = self.temperature
        self.post(SetTemperature(temperature=self.temperature))
        self.draw_title()

    def action_type_temperature(self) -> None:
        """Asks for a temperature."""

        def answered(temperature: float | None) -> None:
            if temperature is not None:
                self.action_set_temperature(temperature)

        self.push_screen(TemperatureEntry(self.temperature), answered)

    # --- writing --------------------------------------------------------------------------------

    def action_toggle_writing(self) -> None:
        """Holds writing, or goes on."""
        self.held = not self.held
        self.post(HoldWriting() if self.held else ContinueWriting())
        self.draw_keys()
        self.draw_status()

    def action_change_rate(self, direction: int) -> None:
        """Goes to the next faster or slower pace."""
        faster = [rate for rate in RATES if rate > self.rate]
        slower = [rate for rate in RATES if rate < self.rate]
        choices = faster[:1] if direction > 0 else slower[-1:]
        if choices:
            self.rate = choices[0]
            self.post(SetRate(characters_per_second=self.rate))
            self.draw_status()

    def action_restart_writing(self) -> None:
        """Begins the text anew."""
        self.post(RestartWriting())

    def action_edit_prompt(self) -> None:
        """Asks for a prompt and begins the text anew from it."""
        prompt = self.state.writing.prompt
        if prompt is None:
            prompt = self.settings.prompt

        def answered(prompt: str | None) -> None:
            if prompt is not None:
                self.post(RestartWriting(prompt=prompt))

        self.push_screen(PromptEntry(prompt), answered)

    # --- training -------------------------------------------------------------------------------

    def action_toggle_training(self) -> None:
        """Pauses training, or goes on."""
        if self._has_training("pause"):
            self.pause_wanted = not self.pause_wanted
            self.post(PauseTraining() if self.pause_wanted else ContinueTraining())
            self.draw_keys()

    def action_save_checkpoint(self) -> None:
        """Asks the trainer for a checkpoint."""
        if self._has_training("save"):
            self.checkpoint_wanted = True
            self.post(SaveCheckpoint())

    def action_stop_training(self) -> None:
        """Ends training for good; the app stays open."""
        if self._has_training("end"):
            self.post(StopTraining())
            self.say("Training ends after validating and saving; writing goes on.")

    def _has_training(self, verb: str) -> bool:
        """Tells whether there is a training to act on; says so where there is none."""
        if not self.trains_now:
            self.say(f"There is no training to {verb}.", severity="warning")
        return self.trains_now

    # --- text -----------------------------------------------------------------------------------

    def action_scroll_text(self, how: str) -> None:
        """Moves the view of the text by a line, a page, or to its start."""
        match how:
            case "up":
                self.pane.scroll_lines(-1)
            case "down":
                self.pane.scroll_lines(1)
            case "pageup":
                self.pane.scroll_pages(-1)
            case "pagedown":
                self.pane.scroll_pages(1)
            case _:
                self.pane.scroll_to_start()

    def action_follow(self) -> None:
        """Goes to the newest text and stays there."""
        self.pane.follow()

    def action_copy_text(self) -> None:
        """Copies the text since the last restart through the terminal."""
        text = encodable(self.pane.transcript.current_text)
        kept = text.encode()[-CLIPBOARD_BYTES:].decode(errors="ignore")
        if not kept:
            self.say("There is no text to copy yet.", severity="warning")
            return
        self.copy_to_clipboard(kept)
        cut = "the last " if len(kept) < len(text) else ""
        self.say(
            f"Copied {cut}{grouped(len(kept))} characters through the terminal (OSC 52). "
            "If yours does not take them, w writes a file."
        )

    def action_write_text(self) -> None:
        """Writes the text since the last restart to a new file."""
        text = self.pane.transcript.current_text
        if text:
            self.run_worker(self._write_text_file(text), group="text-file")
        else:
            self.say("There is no text to write yet.", severity="warning")

    async def _write_text_file(self, text: str) -> None:
        """Writes a file without stopping the screen, and says where it is."""
        run = self.state.run.run if self.state.run else self.settings.title
        try:
            folder = self.settings.text_folder or Path.cwd()
            path = await asyncio.to_thread(write_text_file, folder, run, text)
        except OSError as error:
            place = one_line(str(error.filename or self.settings.text_folder or "."), 120)
            cause = one_line(error.strerror or str(error), 120)
            self.say(f"{place}: the text was not written: {cause}", severity="error")
        else:
            self.say(f"Wrote {grouped(len(text))} characters to {one_line(str(path), 160)}")

    # --- program --------------------------------------------------------------------------------

    def action_show_help(self) -> None:
        """Shows every key."""
        self.push_screen(HelpScreen())

    def action_suspend_process(self) -> None:
        """Suspends to the shell; nothing may be drawn meanwhile, or Textual 8.2 would hang."""
        with self.batch_update():
            super().action_suspend_process()

    def action_ask_quit(self) -> None:
        """Asks what is to become of the training, unless there is none to lose."""
        if not self.trains_now:
            self.exit()
        else:
            self.push_screen(QuitQuestion(), self._quit_answered)

    def action_interrupt(self) -> None:
        """Asks as q does; a second time in a row saves and stops."""
        if isinstance(self.screen, QuitQuestion):
            self.screen.dismiss("save")
        else:
            self.action_ask_quit()

    async def action_quit(self) -> None:
        """Asks first: what Textual itself calls for its own ways out."""
        self.action_ask_quit()

    def _quit_answered(self, choice: Literal["save", "discard"] | None) -> None:
        """Ends the app if the user wants to."""
        if choice is not None:
            self.quit_choice = choice
            self.exit()

    def request_exit(self, return_code: int) -> None:
        """Ends the app with a status; for ``call_soon_threadsafe`` of whoever guards signals."""
        self.quit_choice = "save"
        self.exit(return_code=return_code)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offers every key's action in the palette, and themes and screenshots of Textual."""
        for key in KEYS:
            if not key.priority:
                title = f"{key.label} ({key.shown})"
                yield SystemCommand(title, key.tooltip, partial(self.run_action, key.action))
        for command in super().get_system_commands(screen):
            if command.title in {"Theme", "Screenshot"}:
                yield command
