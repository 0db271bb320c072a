"""The app's own theme, the user's, and the names of all.

``okabe-ito`` takes the colours that Okabe & Ito (2002, "Color Universal Design") chose so that
people with any kind of colour vision can distinguish them. In every theme the screen also shows a
sign for what it says by colour.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from textual.theme import BUILTIN_THEMES, Theme

from model.errors import ConfigError
from tui.config.user_config import Colours

_ORANGE: Final = "#e69f00"
_SKY_BLUE: Final = "#56b4e9"
_BLUISH_GREEN: Final = "#009e73"
_YELLOW: Final = "#f0e442"
_BLUE: Final = "#0072b2"
_VERMILION: Final = "#d55e00"
_REDDISH_PURPLE: Final = "#cc79a7"

OKABE_ITO: Final = Theme(
    name="okabe-ito",
    primary=_SKY_BLUE,
    secondary=_BLUE,
    warning=_YELLOW,
    error=_VERMILION,
    success=_BLUISH_GREEN,
    accent=_REDDISH_PURPLE,
    foreground="#e8e8e8",
    background="#0c0d10",
    surface="#17191e",
    panel="#22252c",
    # Textual mixes text colours with white, which brings them closer to each other.
    variables={
        "text-primary": _SKY_BLUE,
        "text-secondary": _ORANGE,
        "text-warning": _YELLOW,
        "text-error": _VERMILION,
        "text-success": _BLUISH_GREEN,
        "text-accent": _REDDISH_PURPLE,
    },
)
OWN_THEMES: Final = (OKABE_ITO,)


def user_themes(themes: Mapping[str, Colours]) -> list[Theme]:
    """Returns the themes of the user's own file, which has checked them."""
    made = []
    for name, colours in themes.items():
        given: dict[str, Any] = {"dark": True, **colours}
        made.append(Theme(name=name, **given))
    return made


def require_theme(name: str | None, themes: Sequence[str], place: str) -> None:
    """Refuses the name of a theme that does not exist.

    Args:
        name: None is the default.
        themes: names from the user's own file.
        place: where the name was given.

    Raises:
        ConfigError: there is no such theme; the message lists the names.
    """
    known = sorted({*BUILTIN_THEMES, *(theme.name for theme in OWN_THEMES), *themes})
    if name is None or name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(
        place, f"there is no theme {name!r}", f"{remedy}there are: {', '.join(known)}"
    )
