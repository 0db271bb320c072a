"""The race: lanes side by side, each with a mark where it first differs from its left neighbour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from model.config import MAX_TEMPERATURE, Lane
from model.events import RaceLane
from tui.race.lanes import LINE_UPS, SEPARATOR_COLUMNS, LineUp, name_of, present, that_fit
from tui.view.format import fixed, grouped
from tui.view.state import ViewState
from tui.view.transcript import Transcript
from tui.widgets.frame import temperature_label
from tui.widgets.painted import Painted, Part, Row, line_parts, sentence_rows

if TYPE_CHECKING:
    from textual.events import Click

_LANE_STEP: Final = 0.05
"""Change of a lane's temperature by one key."""
_LANE_CHARACTERS = 20_000
_LANE_LINES = 500


@dataclass(slots=True)
class _LaneText:
    """What a lane has written."""

    transcript: Transcript
    has_parted: bool = False
    """Whether it once differed from the lane to its left."""


class RacePane(Painted):
    """The lanes of a line-up; keys act on the chosen lane."""

    def __init__(self, *, ascii_only: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._ascii_only = ascii_only
        self._state = ViewState()
        self._wanted = dict(LINE_UPS)
        """The lanes of each line-up, with the temperatures that the user chose."""
        self._started: tuple[RaceLane, ...] = ()
        self._texts: list[_LaneText] = []
        self._written = 0
        self.line_up: LineUp = "temperatures"
        """The line-up of the next race."""
        self.chosen = 0
        """The lane whose temperature the keys change."""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes of the next race: those of the last one of this line-up."""
        return self._wanted[self.line_up]

    @property
    def lane_texts(self) -> list[str]:
        """What each lane has written, prompt included."""
        return [text.transcript.current_text for text in self._texts]

    @property
    def is_running(self) -> bool:
        """Whether lanes of the chosen line-up have begun."""
        return bool(self._started)

    def shows_an_epoch(self) -> bool:
        """Whether a lane writes with the weights of an epoch."""
        return any(lane.epoch is not None for lane in self._started)

    def take_next_line_up(self) -> None:
        """Empties the pane for the lanes of the other line-up."""
        names = list(LINE_UPS)
        self.line_up = names[(names.index(self.line_up) + 1) % len(names)]
        models = [lane.model for lane in self.lanes]
        self.chosen = 0 if self.line_up == "temperatures" else models.index("live")
        self._started, self._texts = (), []
        self.draw()

    def next_temperature(self, direction: int) -> float:
        """Returns the chosen lane's temperature after one step up or down."""
        wished = round(self.lanes[self.chosen].temperature + _LANE_STEP * direction, 2)
        return min(MAX_TEMPERATURE, max(0.0, wished))

    def start(self, lanes: Sequence[RaceLane], prompt: str) -> None:
        """Starts a race with the prompt in every lane; ignores one of the other line-up."""
        if [started.lane.model for started in lanes] != [lane.model for lane in self.lanes]:
            return
        self._started = tuple(lanes)
        self._wanted[self.line_up] = tuple(started.lane for started in lanes)
        self._texts = [
            _LaneText(
                Transcript(
                    self._columns, maximum_characters=_LANE_CHARACTERS, maximum_lines=_LANE_LINES
                )
            )
            for _ in lanes
        ]
        for started, text in zip(lanes, self._texts, strict=True):
            if started.is_written:
                text.transcript.append(prompt[-200:], "prompt")
        self._written = 0
        self.draw()

    def write(self, characters: Sequence[str]) -> None:
        """Takes one character of each lane; draws nothing."""
        for number, (text, character) in enumerate(zip(self._texts, characters, strict=False)):
            left = characters[number - 1] if number else ""
            if character and left and character != left and not text.has_parted:
                text.has_parted = True
                text.transcript.mark("!=" if self._ascii_only else "≠")
            text.transcript.append(character)
        self._written += 1

    def set_temperature(self, lane: int, temperature: float) -> None:
        """Marks a lane's new temperature at its place in the text."""
        if lane >= len(self._started):
            return
        changed = replace(self.lanes[lane], temperature=temperature)
        self._wanted[self.line_up] = (*self.lanes[:lane], changed, *self.lanes[lane + 1 :])
        started = replace(self._started[lane], lane=changed)
        self._started = (*self._started[:lane], started, *self._started[lane + 1 :])
        label = temperature_label(temperature, ascii_only=self._ascii_only)
        self._texts[lane].transcript.mark(label)
        self.draw()

    def choose(self, direction: int) -> None:
        """Goes to a neighbouring lane, and shows it if it was left out."""
        numbers = present(self._started)
        if numbers:
            here = numbers.index(self.chosen) if self.chosen in numbers else 0
            self.chosen = numbers[(here + direction) % len(numbers)]
            self._wrap()

    def on_click(self, event: Click) -> None:
        """Chooses the lane under the mouse."""
        place = event.x // (self._columns + SEPARATOR_COLUMNS)
        shown = self._shown
        if place < len(shown):
            self.chosen = shown[place]
            self.draw()

    def on_resize(self) -> None:
        """Wraps the lanes for the new width."""
        self._wrap()

    def show(self, state: ViewState) -> None:
        """Shows the lanes with the losses of the state."""
        self._state = state
        self._wrap()

    def _wrap(self) -> None:
        columns = self._columns
        for text in self._texts:
            if text.transcript.width != columns:
                text.transcript.set_width(columns)
        self.draw()

    def draw(self) -> None:
        """Shows the ends of the lanes that fit."""
        width, height = self.size
        if not self._started:
            self.present(sentence_rows("The race starts with the first text.", width))
            return
        bar: Part = (" | " if self._ascii_only else " │ ", "edge")
        heads = [self._head(number) for number in self._shown]
        room = max(0, height - len(heads[0]))
        columns = [
            [*head, *self._text_rows(number, room)]
            for head, number in zip(heads, self._shown, strict=True)
        ]
        rows: list[Row] = []
        for parts in zip(*columns, strict=True):
            row = [part for column in parts for part in (*column, bar)]
            rows.append(tuple(row[:-1]))
        self.present(rows)

    def _head(self, number: int) -> list[Row]:
        """Returns the rows above a lane: its name; in the ladder also temperature and bits."""
        columns = self._columns
        started = self._started[number]
        sign = (">" if self._ascii_only else "▸") if number == self.chosen else " "
        name = f"{sign}{self._lane_name(number)}"[:columns].ljust(columns)
        rows: list[Row] = [((name, "key" if number == self.chosen else "strong"),)]
        if self.line_up == "ladder":
            bits = self._bits(started)
            figures = f"T {started.lane.temperature:.2f}"
            if bits is not None:
                figures = f"{figures} {fixed(bits, 2)} bits"
            rows.append(((figures[:columns].ljust(columns), "label"),))
        return rows

    def _lane_name(self, number: int) -> str:
        """Returns the short name of a lane."""
        return name_of(self._started[number], self.line_up, self._state.network)

    def _bits(self, started: RaceLane) -> float | None:
        """Returns the bits per character of a lane's model on the held-out text."""
        losses, model = self._state.losses, started.lane.model
        nats = {"live": losses.validation, "best": losses.best}.get(model)
        if model == "live" and self._state.writing.weights_best:  # after training
            nats = losses.best
        return started.bits_per_character if nats is None else nats / math.log(2)

    def _text_rows(self, number: int, height: int) -> list[Row]:
        """Returns the end of a lane's text, or why it has none, as ``height`` rows."""
        columns = self._columns
        if self._started[number].is_written:
            transcript = self._texts[number].transcript
            first = max(0, transcript.line_count - height)
            return [line_parts(transcript.line(first + y), columns) for y in range(height)]
        missing = self._state.text_missing is not None
        words = "the text is not there" if missing else "being built"
        lines = sentence_rows(words, columns)[:height]
        blank: Row = ((" " * columns, "label"),)
        padded: list[Row] = [((row[0][0].ljust(columns), "label"),) for row in lines]
        return [*padded, *([blank] * (height - len(padded)))]

    @property
    def words(self) -> str:
        """The words of the frame: which lanes are left out, or how many differ."""
        width, numbers = self.size.width, present(self._started)
        hidden = [number for number in numbers if number not in self._shown]
        if hidden:
            names = ", ".join(self._lane_name(number) for number in hidden)
            start = f"left out: {names}"
            last = f"{len(hidden)} left out"
            choices = [f"{start}; Left and Right show more", start, f"not: {names}", last]
        else:
            apart = sum(text.has_parted for text in self._texts)
            start = f"{grouped(self._written)} characters, {apart} of {max(0, len(numbers) - 1)}"
            choices = [f"{start} left their neighbour", f"{start} apart"]
        return next((words for words in choices if len(words) <= width), choices[-1])

    @property
    def _shown(self) -> tuple[int, ...]:
        """Numbers of the lanes that are shown."""
        return that_fit(self._started, self.chosen, self.line_up, self.size.width)

    @property
    def _columns(self) -> int:
        """Width of a lane in cells."""
        count = max(1, len(self._shown))
        return max(2, (self.size.width - SEPARATOR_COLUMNS * (count - 1)) // count)
