"""The folders of the user's files: in the home folder, or temporary ones if it is not known.

A container or a service may have no HOME and no entry in the password database. The program then
runs without a settings file and keeps its files in a temporary folder.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

import platformdirs

from corpus.errors import CorpusAccessError, CorpusError

NAME: Final = "charlm-tui"


def expand_home(path: str) -> str:
    """Returns a path with a leading `~` or `~user` expanded to the home folder, as in a shell.

    It is for paths that no shell expands: in a settings file, the environment, or after
    `--option=`. An unknown `~user` is kept unchanged. `./~name` names a file of that name.

    Raises:
        CorpusError: the home folder is not known.
    """
    if not path.startswith("~"):
        return path
    if path != "~" and not path.startswith("~/"):
        return os.path.expanduser(path)  # noqa: PTH111 - Path's raises where the user is unknown
    home = os.environ.get("HOME", "")
    if not Path(home).is_absolute():
        home = _home_by_the_table()
    if not home:
        raise CorpusError(path, "the home folder is not known ($HOME)", "give the path in full")
    return home.rstrip("/") + path[1:] or "/"


def _home_by_the_table() -> str:
    """Returns this user's home folder from the password database; empty if there is none."""
    try:
        import pwd  # noqa: PLC0415 - of POSIX only

        return pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError):
        return ""


def config_folder() -> Path | None:
    """Returns the folder of the user's settings; None if it cannot be known."""
    try:
        return Path(platformdirs.user_config_dir(NAME, appauthor=False))
    except RuntimeError:
        return None


def private_folder() -> Path:
    """Returns a temporary folder that belongs to this user alone; makes it if it is missing.

    Raises:
        CorpusAccessError: another user could have put something there, or it cannot be made.
    """
    remedy = "set $CHARLM_CACHE to another folder"
    try:
        path = Path(tempfile.gettempdir()) / f"{NAME}-{os.geteuid()}"
    except OSError as error:
        raise CorpusAccessError("$TMPDIR", "there is no temporary folder", remedy) from error
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        cause = (error.strerror or type(error).__name__).lower()
        raise CorpusAccessError(str(path), cause, remedy) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise CorpusAccessError(str(path), "is not a folder of this user", remedy)
    if status.st_mode & 0o077:
        raise CorpusAccessError(str(path), "is open to other users", f"chmod 700 it, or {remedy}")
    return path
