"""Every key, once: the bindings, the row of hints, the help screen and the palette read this table.

This module knows names of actions, not what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from textual.binding import Binding

from tui.view.layout import PANES

Group = Literal["Temperature", "Writing", "Views", "Training", "Text", "Files", "Program"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAction:
    """Something that a key does."""

    id: str
    """Stable name, for remapping."""
    keys: tuple[str, ...]
    """Names that Textual knows, the one to show first."""
    shown: str
    """The keys as a reader knows them."""
    label: str
    tooltip: str
    action: str
    group: Group
    hint: str | None = None
    """Word in the row of hints; None keeps it out, empty joins it to the next one."""
    rank: int = 99
    """The row of hints drops those with the highest rank first."""
    priority: bool = False
    """Works while a question is open, too."""

    @property
    def action_name(self) -> str:
        """The action without its parameters."""
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
        "change_temperature(-0.05)", "Temperature", hint="", rank=0,
    ),
    _key(
        "temperature.up", "plus equals_sign", "+", "Raise the temperature",
        "by 0.05", "change_temperature(0.05)", "Temperature",
        hint="Temp", rank=0,
    ),
    _key(
        "temperature.far_down", "left_square_bracket", "[", "Lower the temperature a lot",
        "by 0.25", "change_temperature(-0.25)", "Temperature",
    ),
    _key(
        "temperature.far_up", "right_square_bracket", "]", "Raise the temperature a lot", "by 0.25",
        "change_temperature(0.25)", "Temperature",
    ),
    _key(
        "temperature.type", "t", "t", "Type a temperature",
        "0 takes the likeliest character; up to 5", "type_temperature", "Temperature",
        hint="Type", rank=9,
    ),
    _key(
        "temperature.reset", "T", "T", "Temperature 1.0", "the model's own probabilities",
        "set_temperature(1.0)", "Temperature",
    ),
    _key(
        "cuts.top_k", "k", "k", "Narrow top-k", "keep only the k likeliest characters",
        "change_cut('top_k', 1)", "Temperature",
    ),
    _key(
        "cuts.top_k_back", "K", "K", "Widen top-k", "keep more, at last all",
        "change_cut('top_k', -1)", "Temperature",
    ),
    _key(
        "cuts.top_p", "u", "u", "Narrow top-p", "keep the likeliest that make up this much",
        "change_cut('top_p', 1)", "Temperature",
    ),
    _key(
        "cuts.top_p_back", "U", "U", "Widen top-p", "keep more, at last all",
        "change_cut('top_p', -1)", "Temperature",
    ),
    _key(
        "cuts.min_p", "j", "j", "Raise min-p", "keep those at least so likely as the likeliest",
        "change_cut('min_p', 1)", "Temperature",
    ),
    _key(
        "cuts.min_p_back", "J", "J", "Lower min-p", "keep more, at last all",
        "change_cut('min_p', -1)", "Temperature",
    ),
    _key(
        "writing.hold", "space", "space", "Hold or go on writing", "training is not touched",
        "toggle_writing", "Writing", hint="Hold", rank=4,
    ),
    _key(
        "writing.slower", "less_than_sign", "<", "Write slower", "fewer characters per second",
        "change_rate(-1)", "Writing", hint="", rank=8,
    ),
    _key(
        "writing.faster", "greater_than_sign", ">", "Write faster", "more characters per second",
        "change_rate(1)", "Writing", hint="Pace", rank=8,
    ),
    _key(
        "writing.restart", "r", "r", "Restart the text", "with a new seed and the same prompt",
        "restart_writing", "Writing", hint="Restart", rank=5,
    ),
    _key(
        "writing.prompt", "i", "i", "Edit the prompt", "what the text goes on from",
        "edit_prompt", "Writing", hint="Prompt", rank=7,
    ),
    *(
        _key(
            f"views.{pane.id}", pane.digit, pane.digit, f"Pane: {pane.name}", pane.tooltip,
            f"toggle_pane('{pane.id}')", "Views",
        )
        for pane in PANES
    ),
    _key("views.reset", "0", "0", "All panes back", "as at the start", "reset_panes", "Views"),
    _key(
        "views.menu", "v", "v", "List of views", "switch panes on and off", "show_views", "Views",
        hint="Views", rank=5,
    ),
    _key(
        "views.maximise", "m", "m", "Maximise the panes", "the text keeps six rows",
        "maximise_panes", "Views",
    ),
    _key(
        "views.next", "tab", "Tab", "Next pane", "the one that the arrow keys concern",
        "next_pane", "Views",
    ),
    _key(
        "views.left", "left", "Left", "Previous curve, lane or epoch", "in the chosen pane",
        "pane_key(-1)", "Views",
    ),
    _key(
        "views.right", "right", "Right", "Next curve, lane or epoch", "in the chosen pane",
        "pane_key(1)", "Views",
    ),
    _key(
        "chart.range", "x", "x", "Whole or recent range", "of the curve", "change_chart('recent')",
        "Views",
    ),
    _key(
        "chart.log", "l", "l", "Logarithmic axis", "of the curve", "change_chart('logarithmic')",
        "Views",
    ),
    _key(
        "chart.bits", "b", "b", "Nats or bits", "of the loss curve", "change_chart('bits')",
        "Views",
    ),
    _key(
        "training.pause", "p", "p", "Pause or go on training", "after the step at hand",
        "toggle_training", "Training", hint="Pause", rank=3,
    ),
    _key(
        "training.save", "s", "s", "Save a checkpoint now", "after the step at hand",
        "save_checkpoint", "Training", hint="Save", rank=6,
    ),
    _key(
        "training.stop", "e", "e", "End training", "validate, save, stay open: writing goes on",
        "stop_training", "Training", hint="End", rank=11,
    ),
    _key(
        "text.up", "up", "Up", "Scroll up a line", "the text keeps its place", "scroll_text('up')",
        "Text",
    ),
    _key("text.down", "down", "Down", "Scroll down a line", "", "scroll_text('down')", "Text"),
    _key(
        "text.page_up", "pageup", "PgUp", "Scroll up a page", "", "scroll_text('pageup')", "Text"
    ),
    _key(
        "text.page_down", "pagedown", "PgDn", "Scroll down a page", "", "scroll_text('pagedown')",
        "Text",
    ),
    _key("text.start", "home", "Home", "Oldest text", "", "scroll_text('home')", "Text"),
    _key(
        "text.follow", "end", "End", "Follow the text again", "go to the newest and stay there",
        "follow", "Text",
    ),
    _key(
        "text.alternatives", "a", "a", "Alternatives",
        "hold, and see what else the model considered; fork there", "show_alternatives", "Text",
    ),
    _key(
        "text.trunk", "B", "B", "Back to the trunk", "the text from before the first fork",
        "return_to_trunk", "Text",
    ),
    _key(
        "ink.next", "c", "c", "Colour the text", "by surprise, by novelty, by a hidden unit, off",
        "next_ink", "Text",
    ),
    _key(
        "ink.unit", "h", "h", "Another hidden unit", "the next of those that track something",
        "next_unit", "Text",
    ),
    _key(
        "text.copy", "y", "y", "Copy the text", "since the last restart, to the clipboard (OSC 52)",
        "copy_text", "Text", hint="Copy", rank=10,
    ),
    _key(
        "text.find", "slash", "/", "Find in the text", "n the next, N the one before", "find",
        "Text",
    ),
    _key("text.find_next", "n", "n", "Find the next", "further back", "find_next(1)", "Text"),
    _key("text.find_back", "N", "N", "Find the one before", "further on", "find_next(-1)", "Text"),
    _key(
        "text.write", "w", "w", "Write the text to a file",
        "since the last restart; overwrites none", "write_text", "Files", hint="Write", rank=12,
    ),
    _key(
        "files.curve_svg", "f", "f", "Write the curve as SVG", "the one that is looked at",
        "write_curve('svg')", "Files",
    ),
    _key(
        "files.curve_png", "F", "F", "Write the curve as PNG", "for what takes no SVG",
        "write_curve('png')", "Files",
    ),
    _key(
        "files.samples", "g", "g", "Write the samples", "of all epochs, to a text file",
        "write_samples", "Files",
    ),
    _key(
        "files.screen", "f12", "F12", "Screenshot", "as SVG; works over dialogs, too",
        "write_screen", "Files", priority=True,
    ),
    _key(
        "program.runs", "o", "o", "Runs", "open, resume, compare or delete one", "show_runs",
        "Program",
    ),
    _key(
        "program.help", "question_mark f1", "?", "Help", "every key and what the panes show",
        "show_help", "Program", hint="Help", rank=2,
    ),
    _key(
        "program.suspend", "ctrl+z", "^z", "Suspend", "to the shell; training stops until fg",
        "suspend_process", "Program",
    ),
    _key(
        "program.quit", "q", "q", "Quit", "save and stop, stop without saving, or stay",
        "ask_quit", "Program", hint="Quit", rank=1,
    ),
    _key(
        "program.interrupt", "ctrl+c ctrl+q", "^c", "Quit", "as q; twice saves and stops",
        "interrupt", "Program", priority=True,
    ),
)  # fmt: skip


OFF_FOR_SPECTATORS: Final = frozenset(
    {
        *("training.pause", "training.save", "training.stop"),
        *("text.write", "files.curve_svg", "files.curve_png", "files.samples", "files.screen"),
        *("program.runs", "program.suspend"),
    }
)
"""Keys, by their ids, that write a file, command a training, or leave the run that is watched."""
SPECTATORS_ACTIONS: Final = frozenset(
    {
        *(key.action_name for key in KEYS if key.id not in OFF_FOR_SPECTATORS),
        *("command_palette", "change_theme", "quit", "focus_next", "focus_previous", "bell"),
    }
)
"""All that the app does for a spectator; what is not here is off, whoever asks for it."""


def bindings() -> list[Binding]:
    """Returns the table as Textual wants it."""
    return [
        Binding(
            ",".join(key.keys),
            key.action,
            key.label,
            show=False,
            key_display=key.shown,
            priority=key.priority,
            tooltip=key.tooltip,
            id=key.id,
        )
        for key in KEYS
    ]


def keys_of(keymap: Mapping[str, str], *, read_only: bool = False) -> tuple[KeyAction, ...]:
    """Returns the table with the user's own keys, without those that are off for spectators."""
    return tuple(
        _remapped(key, keymap[key.id]) if key.id in keymap else key
        for key in KEYS
        if not (read_only and key.id in OFF_FOR_SPECTATORS)
    )


def _remapped(key: KeyAction, given: str) -> KeyAction:
    keys = tuple(part.strip() for part in given.split(","))
    return replace(key, keys=keys, shown=keys[0].replace("ctrl+", "^"))
