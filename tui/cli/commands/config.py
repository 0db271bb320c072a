"""``charlm-tui config``: the path of the user's settings file, and an annotated default."""

from __future__ import annotations

import sys

import click

from tui.config.keys import KEYS
from tui.config.user_config import config_path
from tui.sanitise import printable

_DEFAULTS = """\
# Defaults of options. The command line takes precedence.
[defaults]
# preset = "auto"            # auto, quick, balanced, quality, thorough, overnight, notebook
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
    print(_DEFAULTS + "\n".join(_key_lines()))


def _key_lines() -> list[str]:
    """Returns a line for each action with its default keys."""
    return [f'# "{key.id}" = "{",".join(key.keys)}"  # {key.label}' for key in KEYS]
