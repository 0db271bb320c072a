"""Requests to a running training, made by any thread and read between two steps."""

from __future__ import annotations

import threading


class TrainingControls:
    """Holds requests to pause, save, stop or abandon. Only ``wait_while_paused`` blocks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._save = False
        self._stop = False
        self._hurry = False
        self._abandon = False
        self._signal = 0

    def pause(self) -> None:
        """Requests a pause after the current step."""
        with self._changed:
            self._paused = True

    def go_on(self) -> None:
        """Ends a pause."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def save(self) -> None:
        """Requests a checkpoint after the current step."""
        with self._changed:
            self._save = True
            self._changed.notify_all()

    def stop(self, *, hurry: bool = False, signal: int = 0) -> None:
        """Requests the end of the training, after a last validation and a checkpoint.

        Args:
            hurry: whether to omit the validation.
            signal: number of the signal that caused the request; 0 if none did.
        """
        with self._changed:
            self._stop = True
            self._signal = self._signal or signal
            self._hurry = self._hurry or hurry
            self._changed.notify_all()

    def abandon(self) -> None:
        """Requests the end of the training at once, without a checkpoint."""
        with self._changed:
            self._stop = self._hurry = self._abandon = True
            self._changed.notify_all()

    @property
    def paused(self) -> bool:
        """Whether training should wait."""
        return self._paused and not self._stop

    @property
    def stopping(self) -> bool:
        """Whether training should end."""
        return self._stop

    @property
    def hurried(self) -> bool:
        """Whether training should end without another validation."""
        return self._hurry

    @property
    def signal(self) -> int:
        """Number of the first signal that requested the end; 0 if none did."""
        return self._signal

    @property
    def abandoned(self) -> bool:
        """Whether training should end without saving."""
        return self._abandon

    def take_save(self) -> bool:
        """Returns whether a checkpoint was requested, and clears the request."""
        with self._changed:
            wanted, self._save = self._save, False
        return wanted

    def wait_while_paused(self) -> None:
        """Waits until the pause ends, training should stop, or a checkpoint is requested."""
        with self._changed:
            self._changed.wait_for(lambda: not self._paused or self._stop or self._save)
