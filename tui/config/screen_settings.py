"""Settings of the screen. The command line checks them, and the app trusts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from model.config import SamplingConfig
from model.constraint_config import NO_CONSTRAINTS, Constraints
from tui.config.user_config import Colours

RATES: Final = (5.0, 10.0, 20.0, 30.0, 60.0, 100.0, 200.0, 500.0, 1000.0)
"""Writing rates, characters per second, that the keys for slower and faster select."""
DEFAULT_RATE: Final = 60.0
"""Characters per second."""
FIRST_TEMPERATURE: Final = 0.7
"""Of the app's first text: below 1, words are to be seen earlier."""
DEFAULT_FPS: Final = 15
"""Updates of the screen per second."""
DEFAULT_THEME: Final = "tokyo-night"
PLAIN_THEME: Final = "ansi-dark"
"""Name of the theme with the terminal's own colours, or with none under ``NO_COLOR``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSettings:
    """Screen options; the command line has checked their ranges."""

    title: str = "charlm-tui"
    """Name of the corpus, shown until the run reports its name."""
    trains: bool = True
    """Whether the session has a trainer, which this screen controls."""
    rate: float = DEFAULT_RATE
    """Initial writing rate of the model, characters per second."""
    sampling: SamplingConfig = field(
        default_factory=lambda: SamplingConfig(temperature=FIRST_TEMPERATURE)
    )
    """Initial sampling settings, equal to those of the session."""
    constraints: Constraints = NO_CONSTRAINTS
    """What the text obeys at first, equal to those of the session."""
    prompt: str = ""
    """Initial prompt, which the user can edit."""
    fps: int = DEFAULT_FPS
    """How many times a second the screen polls the events of the session."""
    low_bandwidth: bool = False
    """Whether to save bandwidth: fewer frames, plain colours, no sparkline, a chart every 5 s."""
    ascii: bool = False
    """Whether to draw borders, chart, bars and signs with ASCII only."""
    mouse: bool = True
    hints: bool = True
    """Whether a row below the header says what happens and which keys help."""
    language: str = "en"
    """Of the lesson."""
    theme: str | None = None
    """Name of the theme; None selects one by the terminal's colours and ``low_bandwidth``."""
    few_colors: bool = False
    """Whether the terminal has only sixteen colours."""
    themes: Mapping[str, Colours] = field(default_factory=dict)
    """Themes of the user's own file."""
    keymap: Mapping[str, str] = field(default_factory=dict)
    """The user's own keys by the action's id."""
    read_only: bool = False
    """Whether the user is a spectator, whose keys write no file and control no training."""
    root: Path | None = None
    """Folder of the runs; None hides them."""
    opened: Path | None = None
    """The checkpoint file that is only written with; None if the session has a run."""
    can_train_longer: bool = True
    """Whether the run lies in that folder, so that its training can be continued."""
    can_train_again: bool = True
    """Whether a new run can read the same text."""
    two_authors: bool = False
    """Whether two saved models write one text."""
    text_folder: Path | None = None
    """Folder for files written on request; None is the current folder."""

    def keys_without_use(self, *, trains: bool) -> frozenset[str]:
        """Returns the ids of keys that do nothing in this session, while it trains or not."""
        uses = {
            "program.runs": self.root is not None,
            "training.longer": self.root is not None and self.can_train_longer and not trains,
            "training.again": self.root is not None and self.can_train_again,
            "lesson.excerpt": self.root is not None and self.can_train_again,
            "mix.first": self.two_authors,
            "mix.second": self.two_authors,
        }
        return frozenset(name for name, is_useful in uses.items() if not is_useful)

    @property
    def frame_seconds(self) -> float:
        """Seconds between two polls of the session."""
        fps = min(self.fps, 8) if self.low_bandwidth else self.fps
        return 1.0 / max(1, min(60, fps))

    @property
    def view_seconds(self) -> float:
        """Seconds between two updates of the panes that follow the writing."""
        return 0.5 if self.low_bandwidth else 0.25

    @property
    def chart_seconds(self) -> float:
        """Seconds between two updates of the loss curve."""
        return 5.0 if self.low_bandwidth else 1.0

    def theme_name(self, *, no_color: bool) -> str:
        """Returns the initial theme; `no_color` takes precedence."""
        if no_color:
            return PLAIN_THEME
        plain = self.low_bandwidth or self.few_colors
        return self.theme or (PLAIN_THEME if plain else DEFAULT_THEME)
