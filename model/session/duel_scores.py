"""Keeps the letters of duels with their run: lines of ``duels.jsonl`` in its folder."""

from __future__ import annotations

import errno

from model.duel.score import LetterPlayed, to_json_line
from model.runs.file_names import DUELS_NAME
from model.runs.folder import RunFolder


class DuelScores:
    """Appends one line a letter, so that a program that is killed loses none.

    Lines are only appended, and each in one write. So a session that writes from saved weights may
    keep a score while another process trains the run, whose lock it cannot take.
    """

    def __init__(self, folder: RunFolder | None, not_kept: str = "") -> None:
        """Reads and writes nothing yet.

        Args:
            folder: of the run; None keeps no score.
            not_kept: why no score is kept, as a clause.
        """
        self._folder = folder
        self._identity: str | None = None
        self.not_kept = not_kept
        """Why no score is kept, as a clause; empty if it is."""

    def begin(self) -> None:
        """Notes which run has the folder now; letters are never kept with another one."""
        if self._folder is not None:
            self._identity = self._folder.identity()

    def keep(self, letter: LetterPlayed) -> None:
        """Appends a letter; if that fails, `not_kept` says why until a letter is kept again."""
        if self._folder is None:
            return
        try:
            if self._identity is None or self._folder.identity() != self._identity:
                raise OSError(errno.ESTALE, "the run was deleted")
            self._folder.record.append_line(DUELS_NAME, to_json_line(letter))
        except OSError as error:
            self.not_kept = f"{self._folder.name}: {error.strerror}"
        else:
            self.not_kept = ""
