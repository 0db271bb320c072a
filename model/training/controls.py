"""Wishes to a running training, set from any thread and read by it between two steps."""

from __future__ import annotations

import threading


class TrainingControls:
    """Pause, save, stop, abandon. Setting never waits; only a paused training waits, here."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._save = False
        self._stop = False
        self._hurry = False
        self._abandon = False
        self._signal = 0

    def pause(self) -> None:
        """Asks to wait after the step at hand."""
        with self._changed:
            self._paused = True

    def go_on(self) -> None:
        """Ends a pause."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def save(self) -> None:
        """Asks for a checkpoint after the step at hand."""
        with self._changed:
            self._save = True
            self._changed.notify_all()

    def stop(self, *, hurry: bool = False, signal: int = 0) -> None:
        """Asks to end: validate and save; in a ``hurry`` save only.

        Args:
            hurry: whether to leave the validation out.
            signal: number of the signal that asks, if one does.
        """
        with self._changed:
            self._stop = True
            self._signal = self._signal or signal
            self._hurry = self._hurry or hurry
            self._changed.notify_all()

    def abandon(self) -> None:
        """Asks to end at once, saving nothing."""
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
        """Whether it should end without another validation."""
        return self._hurry

    @property
    def signal(self) -> int:
        """Number of the first signal that asked to end; 0 where none did."""
        return self._signal

    @property
    def abandoned(self) -> bool:
        """Whether it should end without saving."""
        return self._abandon

    def take_save(self) -> bool:
        """Returns whether a checkpoint was asked for, once."""
        with self._changed:
            wanted, self._save = self._save, False
        return wanted

    def wait_while_paused(self) -> None:
        """Waits until the pause ends, training should stop, or a checkpoint is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: not self._paused or self._stop or self._save)
