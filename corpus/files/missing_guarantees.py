"""Guarantees that a file system does not give. Each is noted once per process; work continues.

A network share may have no locks, and an old one may refuse to sync a folder. Training works
without both. This module describes a missing guarantee; its callers decide when to show that.
"""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

Guarantee = Literal["sync", "lock", "reservation", "replacement", "cache"]

UNSUPPORTED: Final = frozenset(
    {
        errno.EINVAL,
        errno.ENOSYS,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.ENOTTY,
        errno.EACCES,
        errno.EPERM,
    }
)
"""Error numbers of a request that a file system does not support or allow."""

LOCKS_UNSUPPORTED: Final = frozenset({*UNSUPPORTED, errno.ENOLCK} - {errno.EACCES})
"""Error numbers of unsupported locks. EACCES is not one: it can mean that a lock is held."""

_SENTENCES: Final[dict[Guarantee, str]] = {
    "sync": "files cannot be synced there ({cause}); after a power cut the newest may be missing",
    "lock": "files cannot be locked there ({cause}); nothing stops a second process from training "
    "the same run",
    "reservation": "room cannot be reserved there ({cause}); a quota shows only when a checkpoint "
    "is saved",
    "replacement": "a file cannot be replaced in one step there ({cause}); the old one was moved "
    "aside first",
    "cache": "the encoded text cannot be kept there ({cause}); it is encoded again at each start",
}

_lock = threading.Lock()
_said: set[Guarantee] = set()
_waiting: list[str] = []


def note_missing(guarantee: Guarantee, place: Path, error: OSError) -> None:
    """Notes that a file system refused a guarantee; ignores later notes of the same kind."""
    with _lock:
        if guarantee not in _said:
            _said.add(guarantee)
            cause = error.strerror or type(error).__name__
            _waiting.append(f"{place}: {_SENTENCES[guarantee].format(cause=cause)}")


def take_missing() -> list[str]:
    """Returns the sentences noted since the last call, to be shown to the user."""
    with _lock:
        taken = list(_waiting)
        _waiting.clear()
        return taken
