"""A widget that computes its styles once, not for every row that it draws."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


class StyledOnce(Widget):
    """Keeps its styles until a rule changes.

    Textual 8.2.8 goes through all ancestors for its own one each time, and for those of its
    components after each call of `refresh`.
    """

    _own_style: Style | None = None
    _own_component_styles: dict[str, Style] | None = None

    def component_style(self, name: str) -> Style:
        """Returns the style of a component class, as `get_component_rich_style` does.

        Raises:
            KeyError: there is no such class.
        """
        if self._own_component_styles is None:
            self._own_component_styles = {}
        style = self._own_component_styles.get(name)
        if style is None:
            style = self._own_component_styles[name] = self.get_component_rich_style(name)
        return style

    @property
    def rich_style(self) -> Style:
        """The style of the widget's blank cells."""
        if self._own_style is None:
            self._own_style = super().rich_style
        return self._own_style

    def notify_style_update(self) -> None:
        """Forgets the styles, as Textual does its own."""
        self._own_style = self._own_component_styles = None
        super().notify_style_update()
