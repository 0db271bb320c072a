"""The app: binds all keys, and runs the actions that concern the session or the program.

``LiveApp`` shows the session. Actions that concern the panes or the text are those of
``MainScreen``. An action never waits and never fails: a refusal of the file system is a toast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.theme import ThemeProvider

from model.commands import (
    ContinueTraining,
    PauseTraining,
    RestartWriting,
    SaveCheckpoint,
    SetMix,
    SetRate,
    StopTraining,
)
from model.config import MAX_TEMPERATURE
from model.duel.score import DuelScore
from model.events import Event
from model.presets import DEFAULT_MINUTES, PRESETS
from tui.app.lesson_desk import LessonDesk
from tui.app.live import LiveApp
from tui.config.acting_keys import bindings, may_run
from tui.config.screen_settings import RATES
from tui.duel.duel_screen import DuelScreen
from tui.duel.duel_words import score_words
from tui.export.screen_svg import without_foreign_fonts
from tui.lesson.progress import LessonProgress
from tui.page.saved_page import saved_page
from tui.sanitise import encodable
from tui.screens.constraints_entry import ConstraintsEntry, answer_of, notice
from tui.screens.dialog import Palette
from tui.screens.entry import MinutesEntry, TemperatureEntry
from tui.screens.help_screen import HelpScreen
from tui.screens.menu import Choice, Menu
from tui.screens.next_session import NextSession
from tui.screens.prompt_entry import PromptEntry
from tui.screens.question import QuitQuestion
from tui.screens.runs_screen import RunsScreen
from tui.terminal.deferred import after_refresh
from tui.view.watched import trainer_words

if TYPE_CHECKING:
    from textual.screen import Screen


TRUNCATION_STEPS: Final[dict[str, tuple[float, ...]]] = {
    "top_k": (0, 40, 20, 10, 5, 3, 2),
    "top_p": (1.0, 0.99, 0.95, 0.9, 0.8, 0.6, 0.4),
    "min_p": (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "typical": (1.0, 0.99, 0.95, 0.9, 0.8, 0.6, 0.4),
}
"""Values that the keys step through, by field of ``SamplingConfig``; the first keeps everything."""


class CharlmApp(LiveApp):
    """Shows one session and lets its user steer it."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings())

    successor: NextSession | None = None
    """What to show when this session has ended."""
    _mix_posted: float | None = None
    """The weight of the second model that the user chose; None before the first choice."""

    def __init__(self, *settings: Any, lesson: LessonProgress | None = None, **more: Any) -> None:
        """Takes the progress of the lesson, and what `LiveApp` takes."""
        super().__init__(*settings, **more)
        self.lesson = LessonDesk(self, lesson or LessonProgress())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Limits spectators to actions that write no file and command no training."""
        if not may_run("app", action, read_only=self.settings.read_only):
            return False
        return super().check_action(action, parameters)

    # --- sampling -------------------------------------------------------------------------------

    def action_change_temperature(self, change: float) -> None:
        """Raises or lowers the temperature."""
        self.action_set_temperature(round(self.sampling.temperature + change, 2))

    def action_set_temperature(self, temperature: float) -> None:
        """Sets the temperature and shows it at once; the sampler follows."""
        temperature = min(MAX_TEMPERATURE, max(0.0, temperature))
        self.set_sampling(replace(self.sampling, temperature=temperature))
        self.draw_title()

    def action_type_temperature(self) -> None:
        """Asks for a temperature."""

        def answered(temperature: float | None) -> None:
            if temperature is not None:
                self.action_set_temperature(temperature)

        self.push_screen(TemperatureEntry(self.sampling.temperature), answered)

    def action_change_truncation(self, name: str, direction: int) -> None:
        """Goes to the next narrower or wider value of a truncation rule."""
        choices = TRUNCATION_STEPS[name]
        here = min(
            range(len(choices)), key=lambda i: abs(choices[i] - getattr(self.sampling, name))
        )
        value = choices[min(len(choices) - 1, max(0, here + direction))]
        changes: dict[str, Any] = {name: value}
        self.set_sampling(replace(self.sampling, **changes))
        self.draw_views()
        if "sampling" not in self.main_screen.shown:
            words = f"{value:g}" if value != choices[0] else "off"
            self.say(f"{name.replace('_', '-')} {words}")

    # --- writing --------------------------------------------------------------------------------

    def action_toggle_writing(self) -> None:
        """Holds the text, or continues it."""
        self.hold_writing(not self.held)

    def action_change_rate(self, direction: int) -> None:
        """Goes to the next faster or slower pace."""
        faster = [rate for rate in RATES if rate > self.rate]
        slower = [rate for rate in RATES if rate < self.rate]
        choices = faster[:1] if direction > 0 else slower[-1:]
        if choices:
            self.rate = choices[0]
            self.post(SetRate(characters_per_second=self.rate))
            self.draw_status()

    def action_change_mix(self, change: float) -> None:
        """Moves the weight towards the second model, or towards the first one."""
        mix = self.state.writing.mix if self._mix_posted is None else self._mix_posted
        if mix is None:
            words = "One model writes. In the list of runs (o), m lets two write one text."
            self.say(words, severity="warning")
            return
        self._mix_posted = min(1.0, max(0.0, round(mix + change, 2)))
        self.post(SetMix(mix=self._mix_posted))

    def action_restart_writing(self) -> None:
        """Restarts the text, and follows it."""
        self.pane.follow()
        self.post(RestartWriting())

    def action_edit_prompt(self) -> None:
        """Asks for a prompt and restarts the text from it."""
        prompt = self.state.writing.prompt
        if prompt is None:
            prompt = self.settings.prompt

        def answered(prompt: str | None) -> None:
            if prompt is not None:
                self.pane.follow()
                self.post(RestartWriting(prompt=prompt))

        self.push_screen(PromptEntry(prompt, self.state.vocabulary), answered)

    def action_edit_constraints(self) -> None:
        """Asks what the text may do."""
        dialog = ConstraintsEntry(self.constraints, self.state.vocabulary)
        self.push_screen(dialog, answer_of(self))

    def _notice_writing(self, event: Event) -> None:
        """Handles the events of constraints, too."""
        super()._notice_writing(event)
        notice(self, event)

    # --- training -------------------------------------------------------------------------------

    def action_toggle_training(self) -> None:
        """Pauses the training, or continues it."""
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
        """Ends the training for good; the app stays open."""
        if self._has_training("end"):
            self.post(StopTraining())
            self.say("Training ends after validating and saving; the text goes on.")

    def action_train_longer(self) -> None:
        """Asks for minutes, then leaves for a session that continues this run."""
        run = self.state.run
        if run is None or "training.longer" in self._useless_keys:
            self.say("There is no ended training to continue here.", severity="warning")
            return

        def answered(minutes: float | None) -> None:
            if minutes is not None:
                self.leave_for(NextSession(kind="resume", run=run.run, minutes=minutes))

        self.push_screen(MinutesEntry(DEFAULT_MINUTES), answered)

    def action_train_again(self) -> None:
        """Asks for a preset, then leaves for a session that begins a new run on the same text."""
        run = self.state.run
        if run is None or "training.again" in self._useless_keys:
            self.say("This text cannot be trained on again from here.", severity="warning")
            return

        def answered(preset: str | None) -> None:
            if preset is not None:
                self.leave_for(NextSession(kind="again", run=run.run, preset=preset))

        choices = [
            Choice(
                id=preset.name,
                key=str(number),
                name=preset.name,
                words=preset.purpose,
                is_on=preset.name == run.preset,
            )
            for number, preset in enumerate(PRESETS.values(), 1)
        ]
        self.push_screen(Menu("Save, and train again", choices, closing_key="R"), answered)

    @property
    def _useless_keys(self) -> frozenset[str]:
        return self.settings.keys_without_use(trains=self.trains_now)

    def leave_for(self, successor: NextSession) -> None:
        """Ends this session, saved; the command line opens the next one."""
        self.successor = successor
        self.quit_choice = "save"
        self.exit()

    def _has_training(self, verb: str) -> bool:
        """Returns whether a training runs; says why there is none to control."""
        if not self.trains_now:
            self.say(f"{self._why_no_training()} There is nothing to {verb}.", severity="warning")
        return self.trains_now

    def _why_no_training(self) -> str:
        """Returns the sentence on why this session does not train (now)."""
        watched = self.state.watched
        if watched is not None and watched.is_trained:
            words = trainer_words(watched)
            return f"{words[0].upper()}{words[1:]} trains this run, and you watch it."
        if watched is not None:
            return "You watch this run, and no process trains it now."
        if self.state.opened is not None:
            return "These are saved weights, which are not trained."
        return "The training has ended."

    # --- lesson ---------------------------------------------------------------------------------

    def take(self, events: Sequence[Event]) -> None:
        """Folds events into the state, and hands them to the lesson and to an open duel."""
        super().take(events)
        self.lesson.take(events)
        for screen in self.screen_stack if not self.is_leaving else ():
            if isinstance(screen, DuelScreen):
                screen.take(events)

    def draw_views(self) -> None:
        """Draws the panes that follow the writing, and the lesson."""
        super().draw_views()
        self.lesson.draw()

    def action_toggle_lesson(self) -> None:
        """Opens the lesson, or closes it."""
        self.lesson.toggle()

    def action_turn_lesson(self, direction: int) -> None:
        """Goes to the next step of the lesson, or to the one before."""
        self.lesson.turn(direction)

    def action_change_lesson_text(self) -> None:
        """Trains on a short text, or goes back to the run before."""
        self.lesson.change_text()

    # --- program --------------------------------------------------------------------------------

    def action_show_runs(self) -> None:
        """Shows the saved runs."""
        root = self.settings.root
        if root is None:
            self.say("There are no runs to show here.", severity="warning")
            return

        def answered(successor: NextSession | None) -> None:
            if successor is not None:
                self.leave_for(successor)

        current = self.state.run.run if self.state.run else None
        self.push_screen(RunsScreen(root, current, ascii_only=self.settings.ascii), answered)

    def action_start_duel(self) -> None:
        """Lets the user guess held-out letters against the model; one duel at a time."""

        def answered(score: DuelScore | None) -> None:
            if score is not None:
                self.say(score_words(score))

        if not any(isinstance(screen, DuelScreen) for screen in self.screen_stack):
            self.push_screen(DuelScreen(self.post, ascii_only=self.settings.ascii), answered)

    def action_show_help(self) -> None:
        """Shows every key."""
        self.push_screen(HelpScreen(self.acting_keys))

    def action_write_screen(self) -> None:
        """Writes the screen as it is to a file, dialogs included."""
        self.clear_notifications()
        after_refresh(self, self._write_screen)

    def _write_screen(self) -> None:
        svg = self.export_screenshot(title="charlm-tui")
        self.write_file(
            "screen.svg", "the screen", lambda: encodable(without_foreign_fonts(svg)).encode()
        )

    def action_write_page(self) -> None:
        """Writes a page that writes with the best saved weights, in any browser."""
        state, settings = self.state, self.settings
        run = None if state.run is None else state.run.run
        content = partial(saved_page, settings.opened, settings.root, run, state.network)
        model = "first model" if self.settings.two_authors else "model"
        self.write_file("page.html", f"a page on which the {model} writes", content)

    def action_suspend_process(self) -> None:
        """Suspends to the shell; draws nothing then, because Textual 8.2 would hang."""
        with self.batch_update():
            super().action_suspend_process()

    def action_ask_quit(self) -> None:
        """Asks what to do with the training; ends at once if none runs."""
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
        """Asks as q does; Textual calls this for its own ways to quit."""
        self.action_ask_quit()

    def _quit_answered(self, choice: Literal["save", "discard"] | None) -> None:
        """Ends the app unless the user stays."""
        if choice is not None:
            self.quit_choice = choice
            self.exit()

    def request_exit(self, return_code: int) -> None:
        """Saves and ends the app with a status; the guard of signals asks for it."""
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
        """Offers every key's action in the palette, the curve as PDF, and Textual's themes."""
        for key in self.acting_keys:
            if key.id != "program.interrupt":  # the same as q
                title = f"{key.label} ({key.shown})"
                # The screen on top may be another one by then.
                run = partial(self.run_action, key.action, namespaces={"screen": self.main_screen})
                yield SystemCommand(title, key.tooltip, run)
        if not self.settings.read_only:
            write = partial(self.main_screen.action_write_curve, "pdf")
            yield SystemCommand("Write the curve as PDF", "for papers and print", write)
        for command in super().get_system_commands(screen):
            if command.title == "Theme":
                yield command
