"""``charlm-tui config``: the path of the user's settings file, and an annotated default."""

from __future__ import annotations

import json
import sys

import click

from model.presets import AUTO, PRESETS
from model.runs.printed_command import USUAL_ROOT
from tui.cli.commands.app import app
from tui.config.keys import KEYS
from tui.config.screen_settings import DEFAULT_THEME
from tui.config.user_config import SETTABLE, config_path
from tui.sanitise import printable

_THEMES_AND_KEYS = """
# Your own themes, for --theme and for theme above. Only primary is required.
# [themes.mine]
# primary = "#56b4e9"
# secondary = "#0072b2"
# warning = "#f0e442"
# error = "#d55e00"
# success = "#009e73"
# accent = "#cc79a7"
# foreground = "#e8e8e8"
# background = "#0c0d10"
# surface = "#17191e"
# panel = "#22252c"
# dark = true

# Keys of actions, separated by commas. The names are Textual's (ctrl+s, f5, left, space ...).
[keys]
"""


@click.command()
def config() -> None:
    """Print the path of your settings file, and an annotated default.

    The path goes to standard error, so that `charlm-tui config > FILE` writes only the default.
    """
    path = config_path()
    if path is None:
        place = "the home folder is not known; set $CHARLM_CONFIG to the path of a file"
    else:
        place = f"{path}{'' if path.exists() else ' (does not exist yet)'}"
    print(printable(place), file=sys.stderr)
    print("\n".join((*_default_lines(), _THEMES_AND_KEYS + "\n".join(_key_lines()))))


def _default_lines() -> list[str]:
    """Returns the section of defaults: a line for each option, with its value and its meaning."""
    unset = {
        "preset": AUTO,
        "checkpoints": str(USUAL_ROOT),
        "theme": DEFAULT_THEME,
        "language": "en",
    }
    notes = {"preset": ", ".join(PRESETS)}
    lines = ["# Defaults of options. The command line takes precedence.", "[defaults]"]
    for name in SETTABLE:
        option = next(item for item in app.params if f"--{name}" in item.opts)
        assert isinstance(option, click.Option)
        value = json.dumps(False if option.is_flag else unset.get(name, option.default))
        meaning = (option.help or "").partition(" (default")[0].rstrip(".")
        lines.append(f"# {f'{name} = {value}':<28}# {notes.get(name, meaning)}")
    return lines


def _key_lines() -> list[str]:
    """Returns a line for each action with its default keys."""
    return [f'# "{key.id}" = "{",".join(key.keys)}"  # {key.label}' for key in KEYS]
