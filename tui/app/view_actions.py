"""What the keys for panes, curves and cuts do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from model.commands import (
    SetLaneTemperature,
    StartRace,
    StopRace,
)
from model.config import MAXIMUM_TEMPERATURE
from tui.app.live import LiveApp
from tui.screens.view_menu import ViewMenu
from tui.terminal.deferred import after_refresh

RACE_TEMPERATURES = (0.2, 0.5, 1.0, 1.2)
"""Those of the classic notebook."""
CUTS: dict[str, tuple[float, ...]] = {
    "top_k": (0, 40, 20, 10, 5, 3, 2),
    "top_p": (1.0, 0.99, 0.95, 0.9, 0.8, 0.6, 0.4),
    "min_p": (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
}
"""What the keys for cuts step through; the first cuts nothing."""


class ViewActions(LiveApp):
    """Switches panes and steers what they show."""

    racing = False
    """Whether a race was asked for."""

    def action_toggle_pane(self, name: str) -> None:
        """Switches a pane on or off."""
        self.main_screen.toggle_pane(name)
        self._panes_changed()

    def action_reset_panes(self) -> None:
        """Shows what was shown at the start."""
        self.main_screen.reset_panes()
        self._panes_changed()

    def action_maximise_panes(self) -> None:
        """Gives the panes more rows, or takes them back."""
        self.main_screen.maximise_panes()
        self._panes_changed()

    def action_next_pane(self) -> None:
        """Lets the arrow keys concern another pane."""
        self.main_screen.next_pane()

    def action_show_views(self) -> None:
        """Lists all views."""

        def answered(name: str | None) -> None:
            if name is not None:
                self.action_toggle_pane(name)

        self.push_screen(ViewMenu(self.main_screen.shown), answered)

    def action_pane_key(self, direction: int) -> None:
        """Goes to the next curve, lane or epoch of the chosen pane."""
        screen = self.main_screen
        if screen.active not in screen.shown:
            return
        if screen.active == "chart":
            screen.chart_view = screen.chart_view.stepped(direction)
            self.draw_chart()
        elif screen.active == "race":
            screen.race.choose(direction)
        elif screen.active == "growth":
            screen.growth.scrub(direction)

    def action_change_chart(self, what: str) -> None:
        """Switches the range, the axis or the unit of the curve."""
        view = self.main_screen.chart_view
        changes: dict[str, Any] = {what: not getattr(view, what)}
        self.main_screen.chart_view = replace(view, **changes)
        self.draw_chart()

    def _panes_changed(self) -> None:
        """Draws what has come to the screen; the race runs only while it is seen."""
        racing = "race" in self.main_screen.shown
        if racing and not self.racing:
            lanes = self.main_screen.race.temperatures or RACE_TEMPERATURES
            self.post(StartRace(temperatures=tuple(lanes)))
        elif self.racing and not racing:
            self.post(StopRace())
        self.racing = racing
        after_refresh(self, self.draw_all)

    def _change_in_pane(self, direction: int) -> bool:
        """Changes the chosen pane's temperature; tells whether it has one."""
        screen = self.main_screen
        if screen.active not in screen.shown:
            return False
        if screen.active == "growth":
            screen.growth.change_temperature(direction)
            return True
        if screen.active == "race" and screen.race.temperatures:
            lane = screen.race.chosen
            wished = round(screen.race.temperatures[lane] + 0.05 * direction, 2)
            wished = min(MAXIMUM_TEMPERATURE, max(0.0, wished))
            self.post(SetLaneTemperature(lane=lane, temperature=wished))
            return True
        return False

    def action_change_cut(self, name: Literal["top_k", "top_p", "min_p"], direction: int) -> None:
        """Goes to the next narrower or wider cut."""
        choices = CUTS[name]
        here = min(
            range(len(choices)), key=lambda i: abs(choices[i] - getattr(self.sampling, name))
        )
        value = choices[min(len(choices) - 1, max(0, here + direction))]
        changes: dict[str, Any] = {name: value}
        self.set_sampling(replace(self.sampling, **changes))
        self.draw_views()
        if "sampling" not in self.main_screen.shown:
            words = f"{value:g}" if value != choices[0] else "off"
            self.say(f"{name.replace('_', '-')} {words}")
