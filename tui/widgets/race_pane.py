"""The race: lanes side by side, each with a mark where it first differs from its left neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from model.config import MAX_TEMPERATURE
from tui.view.format import grouped
from tui.view.transcript import Transcript
from tui.widgets.frame import temperature_label
from tui.widgets.painted import Painted, Part, Row, line_parts, sentence_rows

if TYPE_CHECKING:
    pass

RACE_TEMPERATURES: Final = (0.2, 0.5, 1.0, 1.2)
"""Temperatures of the first race: those of the classic notebook."""
_LANE_STEP: Final = 0.05
"""Change of a lane's temperature by one key."""
_LANE_CHARACTERS = 20_000
_LANE_LINES = 500


class RacePane(Painted):
    """A lane for each temperature; keys act on the chosen lane."""

    def __init__(self, *, ascii_only: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._ascii_only = ascii_only
        self._lanes: list[Transcript] = []
        self._parted: list[bool] = []
        self._written = 0
        self.temperatures: list[float] = []
        self.chosen = 0
        """The lane whose temperature the keys change."""

    @property
    def lane_texts(self) -> list[str]:
        """What each lane has written, prompt included."""
        return [lane.current_text for lane in self._lanes]

    @property
    def start_temperatures(self) -> tuple[float, ...]:
        """Temperatures of the next race: those of the last one."""
        return tuple(self.temperatures) or RACE_TEMPERATURES

    def next_temperature(self, direction: int) -> float:
        """Returns the chosen lane's temperature after one step up or down."""
        wished = round(self.temperatures[self.chosen] + _LANE_STEP * direction, 2)
        return min(MAX_TEMPERATURE, max(0.0, wished))

    def start(self, temperatures: Sequence[float], prompt: str) -> None:
        """Starts a race with the prompt in every lane."""
        self.temperatures = list(temperatures)
        self.chosen = min(self.chosen, len(temperatures) - 1)
        self._lanes = [
            Transcript(
                self._columns, maximum_characters=_LANE_CHARACTERS, maximum_lines=_LANE_LINES
            )
            for _ in temperatures
        ]
        for lane in self._lanes:
            lane.append(prompt[-200:], "prompt")
        self._parted = [False] * len(temperatures)
        self._written = 0
        self.draw()

    def write(self, characters: Sequence[str]) -> None:
        """Takes one character of each lane; draws nothing."""
        for number, character in enumerate(characters[: len(self._lanes)]):
            parts_now = number > 0 and character != characters[number - 1]
            if parts_now and not self._parted[number]:
                self._parted[number] = True
                self._lanes[number].mark("!=" if self._ascii_only else "≠")
            self._lanes[number].append(character)
        self._written += 1

    def set_temperature(self, lane: int, temperature: float) -> None:
        """Marks a lane's new temperature at its place in the text."""
        if lane < len(self.temperatures):
            self.temperatures[lane] = temperature
            self._lanes[lane].mark(temperature_label(temperature, ascii_only=self._ascii_only))
            self.draw()

    def choose(self, direction: int) -> None:
        """Goes to a neighbouring lane."""
        if self.temperatures:
            self.chosen = (self.chosen + direction) % len(self.temperatures)
            self.draw()

    def on_resize(self) -> None:
        """Wraps the lanes for the new width."""
        for lane in self._lanes:
            lane.set_width(self._columns)
        self.draw()

    def draw(self) -> None:
        """Shows the ends of all lanes."""
        width, height = self.size
        if not self._lanes:
            self.present(sentence_rows("The race starts with the first text.", width))
            return
        bar: Part = (" | " if self._ascii_only else " │ ", "edge")
        columns = self._columns
        head: list[Part] = []
        for number, temperature in enumerate(self.temperatures):
            sign = (">" if self._ascii_only else "▸") if number == self.chosen else " "
            name = f"{sign}T {temperature:.2f}"[:columns].ljust(columns)
            head += [(name, "key" if number == self.chosen else "strong"), bar]
        rows: list[Row] = [tuple(head[:-1])]
        for y in range(max(0, height - 1)):
            row: list[Part] = []
            for lane in self._lanes:
                first = max(0, lane.line_count - (height - 1))
                row += [*line_parts(lane.line(first + y), columns), bar]
            rows.append(tuple(row[:-1]))
        self.present(rows)

    @property
    def words(self) -> str:
        """The words of the frame."""
        apart = sum(self._parted)
        lanes = max(0, len(self._lanes) - 1)
        start = f"{grouped(self._written)} characters, {apart} of {lanes}"
        whole = f"{start} left their neighbour"
        return whole if len(whole) <= self.size.width else f"{start} apart"

    @property
    def _columns(self) -> int:
        """Width of a lane in cells."""
        count = max(1, len(self.temperatures))
        return max(2, (self.size.width - 3 * (count - 1)) // count)
