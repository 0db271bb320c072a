"""The table of keys, the source of bindings, row of hints, help screen and palette.

This module knows the names of actions, not what they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tui.view.layout import PANES

Group = Literal["Temperature", "Writing", "Views", "Training", "Text", "Lesson", "Files", "Program"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAction:
    """An action with its keys and the words that describe it."""

    id: str
    """Stable name of the action, by which users assign other keys."""
    keys: tuple[str, ...]
    """Textual's names of the keys; the first one is shown."""
    shown: str
    """The keys as users know them."""
    label: str
    tooltip: str
    action: str
    """Action to run, with the prefix of its node: ``app.``, or ``screen.`` for the main screen."""
    group: Group
    hint: str | None = None
    """Word in the row of hints. None leaves the key out; an empty word joins it to the next."""
    rank: int = 99
    """If the row of hints is too narrow, it drops the highest rank first."""
    priority: bool = False
    """Whether the key works even while a dialog is open."""

    @property
    def action_name(self) -> str:
        """Node and action without parameters, such as ``screen.toggle_pane``."""
        return self.action.partition("(")[0]


def _key(  # noqa: PLR0917 - rows of a table
    id: str,  # noqa: A002 - Textual's name
    keys: str,
    shown: str,
    label: str,
    tooltip: str,
    action: str,
    group: Group,
    *,
    hint: str | None = None,
    rank: int = 99,
    priority: bool = False,
) -> KeyAction:
    """Returns a row of the table; ``keys`` is separated by spaces."""
    return KeyAction(
        id=id,
        keys=tuple(keys.split()),
        shown=shown,
        label=label,
        tooltip=tooltip,
        action=action,
        group=group,
        hint=hint,
        rank=rank,
        priority=priority,
    )


KEYS: Final[tuple[KeyAction, ...]] = (
    _key(
        "temperature.down", "minus", "-", "Lower the temperature", "by 0.05",
        "app.change_temperature(-0.05)", "Temperature", hint="", rank=0,
    ),
    _key(
        "temperature.up", "plus equals_sign", "+", "Raise the temperature",
        "by 0.05", "app.change_temperature(0.05)", "Temperature",
        hint="Temp", rank=0,
    ),
    _key(
        "temperature.far_down", "left_square_bracket", "[", "Lower the temperature a lot",
        "by 0.25", "app.change_temperature(-0.25)", "Temperature",
    ),
    _key(
        "temperature.far_up", "right_square_bracket", "]", "Raise the temperature a lot", "by 0.25",
        "app.change_temperature(0.25)", "Temperature",
    ),
    _key(
        "temperature.type", "t", "t", "Type a temperature",
        "0 always takes the most likely one; at most 5", "app.type_temperature", "Temperature",
        hint="Type", rank=12,
    ),
    _key(
        "temperature.reset", "T", "T", "Temperature 1.0", "the model's own probabilities",
        "app.set_temperature(1.0)", "Temperature",
    ),
    _key(
        "cuts.top_k", "k", "k", "Narrow top-k", "keep only the k most likely characters",
        "app.change_truncation('top_k', 1)", "Temperature",
    ),
    _key(
        "cuts.top_k_back", "K", "K", "Widen top-k", "keep more, finally all",
        "app.change_truncation('top_k', -1)", "Temperature",
    ),
    _key(
        "cuts.top_p", "u", "u", "Narrow top-p", "keep the most likely, up to this probability",
        "app.change_truncation('top_p', 1)", "Temperature",
    ),
    _key(
        "cuts.top_p_back", "U", "U", "Widen top-p", "keep more, finally all",
        "app.change_truncation('top_p', -1)", "Temperature",
    ),
    _key(
        "cuts.min_p", "j", "j", "Raise min-p",
        "minimum probability, relative to the most likely",
        "app.change_truncation('min_p', 1)", "Temperature",
    ),
    _key(
        "cuts.min_p_back", "J", "J", "Lower min-p", "keep more, finally all",
        "app.change_truncation('min_p', -1)", "Temperature",
    ),
    _key(
        "cuts.typical", "d", "d", "Narrow typical",
        "keep what is about as surprising as expected",
        "app.change_truncation('typical', 1)", "Temperature",
    ),
    _key(
        "cuts.typical_back", "D", "D", "Widen typical", "keep more, finally all",
        "app.change_truncation('typical', -1)", "Temperature",
    ),
    _key(
        "writing.hold", "space", "space", "Hold or continue the text", "training continues",
        "app.toggle_writing", "Writing", hint="Hold", rank=3,
    ),
    _key(
        "writing.slower", "less_than_sign", "<", "Write slower", "fewer characters per second",
        "app.change_rate(-1)", "Writing", hint="", rank=11,
    ),
    _key(
        "writing.faster", "greater_than_sign", ">", "Write faster", "more characters per second",
        "app.change_rate(1)", "Writing", hint="Pace", rank=11,
    ),
    _key(
        "mix.first", "left_curly_bracket", "{", "More of the first model",
        "move 5 % of the weight to it", "app.change_mix(-0.05)", "Writing", hint="", rank=3,
    ),
    _key(
        "mix.second", "right_curly_bracket", "}", "More of the second model",
        "move 5 % of the weight to it", "app.change_mix(0.05)", "Writing", hint="Mix", rank=3,
    ),
    _key(
        "writing.restart", "r", "r", "Restart the text", "with a new seed and the same prompt",
        "app.restart_writing", "Writing", hint="Restart", rank=7,
    ),
    _key(
        "writing.prompt", "i", "i", "Edit the prompt", "the beginning that the text continues",
        "app.edit_prompt", "Writing", hint="Prompt", rank=8,
    ),
    _key(
        "writing.constraints", "C", "C", "Constraints",
        "letters, line length, acrostic, pattern, rhyme", "app.edit_constraints", "Writing",
        hint="Rules", rank=16,
    ),
    *(
        _key(
            f"views.{pane.id}", pane.digit, pane.digit, f"Pane: {pane.name}", pane.tooltip,
            f"screen.toggle_pane('{pane.id}')", "Views",
            hint="Race" if pane.id == "race" else None, rank=4,
        )
        for pane in PANES
    ),
    _key(
        "views.ladder", "L", "L", "Ladder of models", "n-grams and networks race; again: back",
        "screen.next_line_up", "Views",
    ),
    _key(
        "views.reset", "0", "0", "All panes back", "as at the start",
        "screen.reset_panes", "Views",
    ),
    _key(
        "views.menu", "v", "v", "List of views", "switch panes on and off",
        "screen.show_views", "Views",
        hint="Views", rank=9,
    ),
    _key(
        "views.hints", "H", "H", "Hints on or off", "the row below the header",
        "screen.toggle_hints", "Views",
    ),
    _key(
        "views.maximise", "m", "m", "Maximise the panes", "the text keeps six rows",
        "screen.maximise_panes", "Views",
    ),
    _key(
        "views.next", "tab", "Tab", "Next pane", "the one that the arrow keys act on",
        "screen.next_pane", "Views",
    ),
    _key(
        "views.left", "left", "Left", "Previous curve, lane or epoch", "in the chosen pane",
        "screen.pane_key(-1)", "Views",
    ),
    _key(
        "views.right", "right", "Right", "Next curve, lane or epoch", "in the chosen pane",
        "screen.pane_key(1)", "Views",
    ),
    _key(
        "chart.range", "x", "x", "Next range of the curve", "without the first fall, whole, recent",
        "screen.change_chart('range')",
        "Views",
    ),
    _key(
        "chart.log", "l", "l", "Logarithmic axis", "of the curve",
        "screen.change_chart('logarithmic')",
        "Views",
    ),
    _key(
        "chart.bits", "b", "b", "Nats or bits", "of the loss curve", "screen.change_chart('bits')",
        "Views",
    ),
    _key(
        "training.pause", "p", "p", "Pause or continue training", "after the current step",
        "app.toggle_training", "Training", hint="Pause", rank=6,
    ),
    _key(
        "training.save", "s", "s", "Save a checkpoint now", "after the current step",
        "app.save_checkpoint", "Training", hint="Save", rank=10,
    ),
    _key(
        "training.stop", "e", "e", "End training", "validate, save, stay open; the text goes on",
        "app.stop_training", "Training", hint="End", rank=13,
    ),
    _key(
        "training.longer", "E", "E", "Train longer", "more minutes, then go on with this run",
        "app.train_longer", "Program", hint="Longer", rank=6,
    ),
    _key(
        "training.again", "R", "R", "Another preset", "save, then train a new run on this text",
        "app.train_again", "Program",
    ),
    _key(
        "text.up", "up", "Up", "Scroll up a line", "the text keeps its place",
        "screen.scroll_text('up')",
        "Text",
    ),
    _key(
        "text.down", "down", "Down", "Scroll down a line", "",
        "screen.scroll_text('down')", "Text",
    ),
    _key(
        "text.page_up", "pageup", "PgUp", "Scroll up a page", "",
        "screen.scroll_text('pageup')", "Text"
    ),
    _key(
        "text.page_down", "pagedown", "PgDn", "Scroll down a page", "",
        "screen.scroll_text('pagedown')",
        "Text",
    ),
    _key("text.start", "home", "Home", "Oldest text", "", "screen.scroll_text('home')", "Text"),
    _key(
        "text.follow", "end escape", "End", "Follow the text again",
        "go to the newest and stay there",
        "screen.follow", "Text",
    ),
    _key(
        "text.alternatives", "a", "a", "Alternatives",
        "what else the model considered; fork there",
        "screen.show_alternatives", "Text", hint="Fork", rank=5,
    ),
    _key(
        "text.trunk", "B", "B", "Back to the trunk", "the text from before the first fork",
        "screen.return_to_trunk", "Text",
    ),
    _key(
        "ink.next", "c", "c", "Colour the text", "by surprise, novelty, hidden unit or author; off",
        "screen.next_ink", "Text",
    ),
    _key(
        "ink.unit", "h", "h", "Another hidden unit", "the next of those that track something",
        "screen.next_unit", "Text",
    ),
    _key(
        "text.copy", "y", "y", "Copy the text", "since the last restart, to the clipboard (OSC 52)",
        "screen.copy_written_text", "Text", hint="Copy", rank=14,
    ),
    _key(
        "text.find", "slash", "/", "Find in the text", "n: the next, N: the previous",
        "screen.find",
        "Text",
    ),
    _key(
        "text.find_next", "n", "n", "Find the next", "further back",
        "screen.find_next(1)", "Text",
    ),
    _key(
        "text.find_back", "N", "N", "Find the previous", "further on",
        "screen.find_next(-1)", "Text",
    ),
    _key(
        "lesson.toggle", "S", "S", "Lesson", "ten steps beside the app; again: closes it",
        "app.toggle_lesson", "Lesson",
    ),
    _key(
        "lesson.next", "enter", "Enter", "Next step of the lesson", "twice: skips a step",
        "app.turn_lesson(1)", "Lesson",
    ),
    _key(
        "lesson.back", "backspace", "Backspace", "Step before", "of the lesson",
        "app.turn_lesson(-1)", "Lesson",
    ),
    _key(
        "lesson.excerpt", "O", "O", "Train on 2,000 characters", "for the lesson; again: back",
        "app.change_lesson_text", "Lesson",
    ),
    _key(
        "text.write", "w", "w", "Write the text to a file",
        "since the last restart; overwrites none",
        "screen.write_text", "Files", hint="Write", rank=15,
    ),
    _key(
        "files.inked_html", "W", "W", "Write the coloured text as HTML", "since the last restart",
        "screen.write_inked('html')", "Files",
    ),
    _key(
        "files.inked_svg", "G", "G", "Write the coloured text as SVG", "the lines as a picture",
        "screen.write_inked('svg')", "Files",
    ),
    _key(
        "files.page", "P", "P", "Write the model as a page", "it writes in any browser",
        "app.write_page", "Files",
    ),
    _key(
        "files.curve_svg", "f", "f", "Write the curve as SVG", "the visible one",
        "screen.write_curve('svg')", "Files",
    ),
    _key(
        "files.curve_png", "F", "F", "Write the curve as PNG", "for programs that cannot read SVG",
        "screen.write_curve('png')", "Files",
    ),
    _key(
        "files.samples", "g", "g", "Write the samples", "of all epochs, to a text file",
        "screen.write_samples", "Files",
    ),
    _key(
        "files.screen", "f12", "F12", "Screenshot", "as SVG; works over dialogs, too",
        "app.write_screen", "Files", priority=True,
    ),
    _key(
        "program.runs", "o", "o", "Runs", "open, resume, compare, mix or delete", "app.show_runs",
        "Program",
    ),
    _key(
        "program.duel", "Y", "Y", "You against the model", "guess the next letter of held-out text",
        "app.start_duel", "Program",
    ),
    _key(
        "program.help", "question_mark f1", "?", "Help", "every key and what the panes show",
        "app.show_help", "Program", hint="Help", rank=2,
    ),
    _key(
        "program.suspend", "ctrl+z", "^z", "Suspend", "to the shell; training stops until fg",
        "app.suspend_process", "Program",
    ),
    _key(
        "program.quit", "q", "q", "Quit", "save and stop, stop without saving, or stay",
        "app.ask_quit", "Program", hint="Quit", rank=1,
    ),
    _key(
        "program.interrupt", "ctrl+c ctrl+q", "^c", "Quit", "as q; twice saves and stops",
        "app.interrupt", "Program", priority=True,
    ),
)  # fmt: skip
