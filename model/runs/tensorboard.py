"""Writes a run's curves and samples for TensorBoard. Needs the extra ``tensorboard``.

PyTorch writes the file in a separate thread. The package is imported only on request. An error of
the file is reported once and does not end the training.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from corpus.files.regular_file import require_regular_or_none
from model.events import RecordedEvent, SampleRecorded, StepFinished, Validated
from model.runs.file_names import TENSORBOARD_FILES

INDENT = " " * 4
"""Indentation of a sample's lines: TensorBoard renders Markdown, where indented text is literal."""


class TensorBoardLog:
    """Scalars and text of one run, by step."""

    def __init__(self, folder: Path, *, first_step: int = 0) -> None:
        """Opens a new file.

        Args:
            folder: of the run; ``tensorboard --logdir`` of its parent shows all runs by name.
            first_step: the first step of a resumed run; later steps in older files are hidden.
        """
        # The import takes half a second, and the package is optional.
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self._failure = ""
        self._writer: Any = None
        try:
            for path in folder.iterdir():  # a link of the same name would be followed
                if TENSORBOARD_FILES.fullmatch(path.name):
                    require_regular_or_none(path)
            self._writer = SummaryWriter(
                str(folder), purge_step=first_step + 1 if first_step else None
            )
        except OSError as error:
            self._fail(error)

    def write(self, event: RecordedEvent) -> None:
        """Writes an event that has a curve or a text; ignores the others."""
        if self._writer is None:
            return
        try:
            self._write(event)
        except OSError as error:
            self._fail(error)

    def take_failure(self) -> str:
        """Returns the error that ended the writing, once; empty if there is none."""
        failure, self._failure = self._failure, ""
        return failure

    def close(self) -> None:
        """Writes pending events and ends the thread."""
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError as error:
                self._fail(error)

    def _write(self, event: RecordedEvent) -> None:
        add = self._writer.add_scalar
        if isinstance(event, StepFinished):
            add("loss/training", event.loss, event.step)
            add("learning rate", event.learning_rate, event.step)
            add("gradient norm", event.gradient_norm, event.step)
            add("characters a second", event.characters_per_second, event.step)
        elif isinstance(event, Validated):
            add("loss/validation", event.nats_per_character, event.step)
        elif isinstance(event, SampleRecorded):
            text = textwrap.indent(event.prompt + event.text, INDENT, lambda _: True)
            self._writer.add_text(f"temperature {event.temperature:g}", text, event.step)

    def _fail(self, error: OSError) -> None:
        self._writer = None
        self._failure = f"not written ({error.strerror or error})"
