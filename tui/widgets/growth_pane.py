"""Growing up: the samples kept after each epoch, to scrub through by epoch and temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.events import SampleRecorded
from tui.view.absent import no_samples
from tui.view.format import fixed, slider
from tui.view.sample_history import epochs_of
from tui.view.state import ViewState
from tui.view.transcript import Transcript
from tui.widgets.painted import Painted, Row, line_parts, row_width, sentence_rows

if TYPE_CHECKING:
    pass

MIN_SLIDER_CELLS = 5


class GrowthPane(Painted):
    """Shows one sample: the newest, until the user chooses another."""

    def __init__(self, *, ascii_only: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._ascii_only = ascii_only
        self._state = ViewState()
        self._epoch: int | None = None
        """The chosen epoch; None follows the newest."""
        self._temperature: float | None = None

    @property
    def chosen_epoch(self) -> int | None:
        """The epoch that the user chose; None while the pane follows the newest."""
        return self._epoch

    def show(self, state: ViewState) -> None:
        """Shows the sample at the chosen place of the state."""
        self._state = state
        self._draw()

    def scrub(self, direction: int) -> None:
        """Goes to a later or earlier epoch; at the newest, it follows again."""
        epochs = epochs_of(self._state.samples)
        if not epochs:
            return
        here = epochs.index(self._epoch) if self._epoch in epochs else len(epochs) - 1
        there = max(0, here + direction)
        self._epoch = epochs[there] if there < len(epochs) - 1 else None
        self._draw()

    def change_temperature(self, direction: int) -> None:
        """Goes to the sample of the next higher or lower temperature."""
        choices = sorted({sample.temperature for sample in self._state.samples})
        if choices:
            here = choices.index(self._chosen_temperature(choices))
            self._temperature = choices[min(len(choices) - 1, max(0, here + direction))]
            self._draw()

    def on_resize(self) -> None:
        """Wraps the sample for the new width."""
        self._draw()

    def _chosen_temperature(self, choices: list[float]) -> float:
        if self._temperature in choices:
            return float(self._temperature or 0.0)
        return min(choices, key=lambda temperature: abs(temperature - 0.5))

    def _draw(self) -> None:
        width, height = self.size
        samples = self._state.samples
        if not samples:
            self.present(sentence_rows(no_samples(self._state), width))
            return
        epochs = epochs_of(samples)
        epoch = self._epoch if self._epoch in epochs else epochs[-1]
        choices = sorted({sample.temperature for sample in samples})
        temperature = self._chosen_temperature(choices)
        sample = _nearest(samples, epoch, temperature)
        rows = [head_row(self._state, sample, epochs, width, ascii_only=self._ascii_only)]
        self.present([*rows, *_text_rows(sample, width, max(0, height - 1))])


def _nearest(samples: tuple[SampleRecorded, ...], epoch: int, temperature: float) -> SampleRecorded:
    """Returns the newest sample of an epoch with the nearest temperature."""
    of_epoch = [sample for sample in reversed(samples) if sample.epoch == epoch]
    return min(of_epoch, key=lambda sample: abs(sample.temperature - temperature))


def head_row(
    state: ViewState, sample: SampleRecorded, epochs: list[int], width: int, *, ascii_only: bool
) -> Row:
    """Returns the row with the slider of epochs and the validation loss of that epoch."""
    before = [y for x, y in state.losses.validation_curve.points if x <= sample.step]
    place = epochs.index(sample.epoch) / max(1, len(epochs) - 1)
    left: Row = (
        ("epoch ", "label"),
        (f"{sample.epoch}", "strong"),
        (f" of {epochs[-1]} ", "label"),
    )
    right: Row = (("  T ", "label"), (f"{sample.temperature:.2f}", "accent"))
    loss: Row = (("  val ", "label"), (fixed(before[-1]), "value")) if before else ()
    room = width - row_width(left) - row_width(right) - row_width(loss)
    if room < MIN_SLIDER_CELLS:
        room, loss = room + row_width(loss), ()
    cells = max(MIN_SLIDER_CELLS, min(room, 11 if width < 60 else 21))
    return (*left, (slider(place, 1.0, cells, ascii_only=ascii_only), "accent"), *right, *loss)


def _text_rows(sample: SampleRecorded, width: int, height: int) -> list[Row]:
    """Returns prompt and text as rows, at most ``height``."""
    transcript = Transcript(max(2, width))
    transcript.append(sample.prompt, "prompt")
    transcript.append(sample.text)
    count = min(height, transcript.line_count)
    return [line_parts(transcript.line(number), width) for number in range(count)]
