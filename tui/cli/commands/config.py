"""``charlm-tui config``: the path of the user's settings file, and an annotated default."""

from __future__ import annotations

import sys

import click

from tui.config.keys import KEYS
from tui.config.user_config import config_path
from tui.sanitise import printable

_DEFAULTS = """\
# Defaults of options; what the command line says goes first.
[defaults]
# preset = "balanced"        # quick, balanced, quality, overnight, notebook
# checkpoints = "checkpoints"  # folder of runs
# temperature = 0.8
# top-k = 0                  # 0: off
# top-p = 1.0
# min-p = 0.0
# typical = 1.0
# rate = 60.0                # characters written per second
# fps = 15
# theme = "tokyo-night"      # okabe-ito: colours for any kind of colour vision
# low-bandwidth = false
# ascii = false
# no-mouse = false

# Themes of your own, for --theme and for theme above; only primary has to be there.
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

# Keys of actions, apart by commas; the names are those of Textual (ctrl+s, f5, left, space ...).
[keys]
"""


@click.command()
def config() -> None:
    """Print the path of your own settings, and an annotated default to begin from.

    The path goes to standard error: `charlm-tui config > FILE` writes the rest alone.
    """
    path = config_path()
    if path is None:
        place = "the home folder is not known: let $CHARLM_CONFIG name a file"
    else:
        place = f"{path}{'' if path.exists() else ' (not there yet)'}"
    print(printable(place), file=sys.stderr)
    print(_DEFAULTS + "\n".join(_key_lines()))


def _key_lines() -> list[str]:
    """Returns a line for each action with its default keys."""
    return [f'# "{key.id}" = "{",".join(key.keys)}"  # {key.label}' for key in KEYS]
