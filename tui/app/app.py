"""The app: what each key does.

``LiveApp`` shows the session; here the keys of ``tui.config.keys`` become commands to it, questions
and files. An action never waits and never fails: a file system that refuses is a toast.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.theme import ThemeProvider

from model.commands import (
    ContinueTraining,
    ContinueWriting,
    HoldWriting,
    PauseTraining,
    RestartWriting,
    SaveCheckpoint,
    SetRate,
    StopTraining,
)
from model.config import MAXIMUM_TEMPERATURE
from tui.app.text_actions import TextActions
from tui.config.keys import SPECTATORS_ACTIONS, KeyAction, bindings, keys_of
from tui.config.screen_settings import RATES
from tui.screens.dialog import Palette
from tui.screens.entry import TemperatureEntry
from tui.screens.help_screen import HelpScreen
from tui.screens.prompt_entry import PromptEntry
from tui.screens.question import QuitQuestion
from tui.screens.runs_screen import RunsScreen, Successor

if TYPE_CHECKING:
    from textual.screen import Screen


class CharlmApp(TextActions):
    """Shows one session and lets its user steer it."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings())

    successor: Successor | None = None
    """What is to be shown when this session has ended."""

    @property
    def trains_now(self) -> bool:
        """Whether there is a training that could be lost."""
        crashed = any(crash.worker == "trainer" for crash in self.state.crashes)
        return self.settings.trains and self.state.finished is None and not crashed

    @property
    def acting_keys(self) -> tuple[KeyAction, ...]:
        """The keys that act, as this user has them."""
        return keys_of(self.settings.keymap, read_only=self.settings.read_only)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Lets a spectator do what writes nothing, by key, mouse and palette alike."""
        if self.settings.read_only and action not in SPECTATORS_ACTIONS:
            return False
        return super().check_action(action, parameters)

    # --- temperature ----------------------------------------------------------------------------

    def action_change_temperature(self, change: float) -> None:
        """Raises or lowers the temperature."""
        self.action_set_temperature(round(self.sampling.temperature + change, 2))

    def action_set_temperature(self, temperature: float) -> None:
        """Sets the temperature and says so at once; the sampler follows."""
        temperature = min(MAXIMUM_TEMPERATURE, max(0.0, temperature))
        self.set_sampling(replace(self.sampling, temperature=temperature))
        self.draw_title()

    def action_type_temperature(self) -> None:
        """Asks for a temperature."""

        def answered(temperature: float | None) -> None:
            if temperature is not None:
                self.action_set_temperature(temperature)

        self.push_screen(TemperatureEntry(self.sampling.temperature), answered)

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

        self.push_screen(PromptEntry(prompt, self.state.vocabulary), answered)

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

    # --- program --------------------------------------------------------------------------------

    def action_show_runs(self) -> None:
        """Shows the saved runs."""
        root = self.settings.root
        if root is None:
            self.say("There are no runs to show here.", severity="warning")
            return

        def answered(successor: Successor | None) -> None:
            if successor is not None:
                self.successor = successor
                self.exit()

        current = self.state.run.run if self.state.run else None
        self.push_screen(RunsScreen(root, current, ascii_only=self.settings.ascii), answered)

    def action_show_help(self) -> None:
        """Shows every key."""
        self.push_screen(HelpScreen(self.acting_keys))

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
        """Ends the app with a status, saving: what whoever guards signals asks for."""
        self.quit_choice = "save"
        super().request_exit(return_code)

    def action_command_palette(self) -> None:
        """Shows the command palette."""
        if not Palette.is_open(self):  # type: ignore[arg-type]
            self.push_screen(Palette(id="--command-palette"))

    def search_themes(self) -> None:
        """Lists the themes in a palette."""
        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes..."))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offers every key's action in the palette, and Textual's themes."""
        for key in self.acting_keys:
            if key.id != "program.interrupt":  # the same as q
                title = f"{key.label} ({key.shown})"
                yield SystemCommand(title, key.tooltip, partial(self.run_action, key.action))
        for command in super().get_system_commands(screen):
            if command.title == "Theme":
                yield command
