"""The words for a run that another process trains. Pure."""

from __future__ import annotations

from model.events import RunWatched
from tui.sanitise import one_line

_MAX_NAME = 60


def trainer_words(watched: RunWatched) -> str:
    """Returns the process that trains a watched run, printable; empty if none trains it."""
    if not watched.is_trained:
        return ""
    if watched.process is None:
        return "another process"
    host = "" if watched.host is None else f" on {one_line(watched.host, _MAX_NAME)}"
    return f"process {watched.process}{host}"


def watching_words(watched: RunWatched) -> str:
    """Returns what is watched and who trains it, printable."""
    trainer = trainer_words(watched)
    end = f", trained by {trainer}" if trainer else "; no process trains it now"
    return f"watching {one_line(watched.run, _MAX_NAME)}{end}"
