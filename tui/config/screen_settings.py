"""How the screen looks and behaves; the command line fills it, the app trusts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from model.config import SamplingConfig
from tui.config.user_config import Colours

RATES: Final = (5.0, 10.0, 20.0, 30.0, 60.0, 100.0, 200.0, 500.0, 1000.0)
"""Characters per second that the keys for slower and faster step through."""

DEFAULT_THEME: Final = "tokyo-night"
PLAIN_THEME: Final = "ansi-dark"
"""Asks the terminal for its own colours, and under ``NO_COLOR`` for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSettings:
    """Screen options; the command line has checked their ranges."""

    title: str = "charlm-tui"
    """Name of the corpus, shown until the run reports its name."""
    trains: bool = True
    """Whether the session has a trainer, which this screen steers and must not lose."""
    rate: float = 60.0
    """Characters that the model writes per second, at the start."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How characters are drawn at the start; the session was opened with the same settings."""
    prompt: str = ""
    """Prompt at the start, offered for editing."""
    fps: int = 16
    """How many times a second the screen polls the events of the session."""
    low_bandwidth: bool = False
    """Fewer frames, a chart every five seconds, no sparkline, plain colours."""
    ascii: bool = False
    """Draw with ASCII only: borders, chart, bars, signs."""
    mouse: bool = True
    theme: str | None = None
    """Name of a theme; None chooses by the terminal's colours and by ``low_bandwidth``."""
    few_colors: bool = False
    """Whether the terminal has sixteen colours, to which a theme's would be reduced."""
    themes: Mapping[str, Colours] = field(default_factory=dict)
    """Themes of the user's own file."""
    keymap: Mapping[str, str] = field(default_factory=dict)
    """Keys that the user has given to actions, by their ids."""
    read_only: bool = False
    """Whether the user is a spectator: only keys act that write no file and command no training."""
    root: Path | None = None
    """Folder of the runs; None hides them."""
    text_folder: Path | None = None
    """Folder for files written on request; None is the current folder."""

    @property
    def frame_seconds(self) -> float:
        """Seconds between two polls of the session."""
        fps = min(self.fps, 8) if self.low_bandwidth else self.fps
        return 1.0 / max(1, min(60, fps))

    @property
    def view_seconds(self) -> float:
        """Seconds between two drawings of the panes that follow the writing."""
        return 0.5 if self.low_bandwidth else 0.25

    @property
    def chart_seconds(self) -> float:
        """Seconds between two drawings of the loss curve."""
        return 5.0 if self.low_bandwidth else 1.0

    def theme_name(self, *, no_color: bool) -> str:
        """Returns the theme to start with; where the user wants no colour, that goes first."""
        if no_color:
            return PLAIN_THEME
        plain = self.low_bandwidth or self.few_colors
        return self.theme or (PLAIN_THEME if plain else DEFAULT_THEME)
