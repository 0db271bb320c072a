"""The errors between a text and its ids, in words for the person who gave the text.

The tree::

    UserError                 one sentence: subject, cause, remedy; the root of all packages' errors
    └── CorpusError           the text itself cannot be used
        ├── NotTextError      its bytes are not text
        ├── UnknownSymbolsError a given vocabulary lacks some of its characters
        ├── CorpusAccessError the file system refuses to read the text
        └── DownloadError     the text cannot be downloaded
    LoadCancelled             not an error: the caller has stopped the loading
"""

from __future__ import annotations


class UserError(Exception):
    """An error that the user can understand and fix, in one line.

    Its ``str`` is ``subject: cause; remedy``. The subject is a path or a name exactly as it was
    given. The code that prints it must make it safe for a terminal.
    """

    def __init__(self, subject: str, cause: str, remedy: str) -> None:
        super().__init__(subject, cause, remedy)
        self.subject = subject
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.subject}: {self.cause}; {self.remedy}"


class CorpusError(UserError):
    """The text cannot be used: missing, binary, undecodable, too short, too many symbols."""


class CorpusAccessError(CorpusError):
    """The file system refuses: permission, a name that is too long, a failing disk."""


class DownloadError(CorpusError):
    """The network fails, or the server sends another file than the pinned text."""


class NotTextError(CorpusError):
    """The bytes look like a picture, a program or an archive rather than like text."""


class UnknownSymbolsError(CorpusError):
    """The text has symbols that the vocabulary given for it lacks."""


class LoadCancelled(Exception):  # noqa: N818 - not an error
    """The caller has stopped the loading of a text. No part of it is left on the disk."""
