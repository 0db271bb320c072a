"""The app's own theme, the user's themes, and the names of all themes.

``okabe-ito`` uses the colours of Okabe & Ito (2002, "Color Universal Design"), which people with
any kind of colour vision can distinguish. In every theme, a sign repeats what a colour says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from textual.theme import BUILTIN_THEMES, Theme

from corpus.nearest import nearest
from model.errors import ConfigError
from tui.config.user_config import Colours

ORANGE: Final = "#e69f00"
SKY_BLUE: Final = "#56b4e9"
BLUISH_GREEN: Final = "#009e73"
YELLOW: Final = "#f0e442"
BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"
REDDISH_PURPLE: Final = "#cc79a7"

OKABE_ITO: Final = Theme(
    name="okabe-ito",
    primary=SKY_BLUE,
    secondary=BLUE,
    warning=YELLOW,
    error=VERMILION,
    success=BLUISH_GREEN,
    accent=REDDISH_PURPLE,
    foreground="#e8e8e8",
    background="#0c0d10",
    surface="#17191e",
    panel="#22252c",
    # Textual mixes text colours with white, which brings them closer to each other.
    variables={
        "text-primary": SKY_BLUE,
        "text-secondary": ORANGE,
        "text-warning": YELLOW,
        "text-error": VERMILION,
        "text-success": BLUISH_GREEN,
        "text-accent": REDDISH_PURPLE,
    },
)
OWN_THEMES: Final = (OKABE_ITO,)


def user_themes(themes: Mapping[str, Colours]) -> list[Theme]:
    """Returns the themes of the user's file, which are already checked."""
    made = []
    for name, colours in themes.items():
        fields: dict[str, Any] = {"dark": True, **colours}
        made.append(Theme(name=name, **fields))
    return made


def require_theme(name: str | None, themes: Sequence[str], place: str) -> None:
    """Refuses the name of an unknown theme.

    Args:
        name: the name of a theme; None means the default.
        themes: names of the themes in the user's file.
        place: the place of the name, for the message.

    Raises:
        ConfigError: there is no such theme; the message lists the names.
    """
    known = sorted({*BUILTIN_THEMES, *(theme.name for theme in OWN_THEMES), *themes})
    if name is None or name in known:
        return
    near = nearest(name, known)
    remedy = f"did you mean {near!r}? " if near else ""
    raise ConfigError(
        place, f"there is no theme {name!r}", f"{remedy}there are: {', '.join(known)}"
    )
