"""Brings what the sampler wrote to the writing pane, to the race, and to the recent characters."""

from __future__ import annotations

from model.events import (
    CharacterWritten,
    Event,
    LanesWritten,
    LaneTemperatureApplied,
    RaceStarted,
    SamplingApplied,
    WritingRestarted,
    WritingRewound,
)
from tui.race.race_pane import RacePane
from tui.view.recent_characters import Past
from tui.widgets.frame import temperature_label
from tui.widgets.writing_pane import WritingPane


class TextFeed:
    """Takes events in order; characters in a row reach the pane together, at the next flush."""

    def __init__(
        self, pane: WritingPane, race: RacePane, temperature: float, *, ascii_only: bool
    ) -> None:
        """Starts with an empty text.

        Args:
            pane: shows the text.
            race: shows the lanes of the race.
            temperature: the sampling temperature at the start.
            ascii_only: draw with ASCII only.
        """
        self._pane = pane
        self._race = race
        self._ascii_only = ascii_only
        self.past = Past()
        """The characters that can be forked from."""
        self._pending: list[CharacterWritten] = []
        self._mark_base = self._label(temperature)
        """The mark that the last character in the pane was written under."""
        self._mark_shown: str | None = None
        """The mark that no character has followed yet."""

    def take(self, event: Event, temperature: float) -> None:
        """Takes one event; ignores events that concern no text.

        Args:
            event: what happened.
            temperature: the temperature that the user asked for, which a new text starts with.
        """
        if isinstance(event, CharacterWritten):
            self._pending.append(event)
        elif isinstance(event, WritingRewound):
            self.flush()
            mark = ("Y" if self._ascii_only else "⑂") if event.forked else None
            self._pane.replace_end(event.back, event.text, mark)
            self.past.rewind(event)
        elif isinstance(event, LanesWritten):
            self._race.write(event.characters)
        elif isinstance(event, RaceStarted):
            self._race.start(event.lanes, event.prompt)
        elif isinstance(event, LaneTemperatureApplied):
            self._race.set_temperature(event.lane, event.temperature)
        elif isinstance(event, SamplingApplied):
            self.flush()
            self._mark_temperature(event.sampling.temperature)
        elif isinstance(event, WritingRestarted):
            self.flush()
            self._pane.restart(f"new text, seed {event.seed}", event.prompt)
            self.past.restart()
            self._mark_base = self._label(temperature)

    def flush(self) -> None:
        """Writes the characters that were taken since the last flush."""
        if self._pending:
            self._pane.write(self._pending)
            self.past.add(self._pending)
            self._pending.clear()
            self._mark_base = self._mark_shown or self._mark_base
            self._mark_shown = None

    def _mark_temperature(self, temperature: float) -> None:
        """Marks the place in the text where a temperature takes effect."""
        label = self._label(temperature)
        self._mark_shown = None if label == self._mark_base else label
        if self._pane.transcript.is_empty:
            self._mark_base, self._mark_shown = label, None
        self._pane.mark(self._mark_shown)

    def _label(self, temperature: float) -> str:
        return temperature_label(temperature, ascii_only=self._ascii_only)
