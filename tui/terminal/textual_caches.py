"""A cache of Textual that keeps what it should forget."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from textual._styles_cache import StylesCache


def cache_colours_by_colour() -> None:
    """Lets go of the lines of widgets that are gone.

    Textual 8.2.8 remembers two colours under the widget's whole cache of drawn lines, and with it
    those lines, for the last 1,024 widgets: a help screen that is opened and closed once a minute
    costs some 30 MB an hour. The colours do not depend on the widget. Does nothing where Textual
    has another way by now.
    """
    colours_of = getattr(StylesCache.get_inner_outer, "__wrapped__", None)
    if colours_of is None:
        return
    remembered = lru_cache(1024)(lambda base, background: colours_of(None, base, background))

    def get_inner_outer(_: StylesCache, base_background: Any, background: Any) -> Any:
        return remembered(base_background, background)

    StylesCache.get_inner_outer = get_inner_outer  # type: ignore[method-assign, assignment]
