"""A widget that works its style out once, not for every row that it draws."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


class StyledOnce(Widget):
    """Keeps its style until a rule changes; Textual 8.2.8 goes through all ancestors each time."""

    _own_style: Style | None = None

    @property
    def rich_style(self) -> Style:
        """The style of the widget's blank cells."""
        if self._own_style is None:
            self._own_style = super().rich_style
        return self._own_style

    def notify_style_update(self) -> None:
        """Forgets the style, as Textual does those of a widget's components."""
        self._own_style = None
        super().notify_style_update()
