"""The commands that messages print. Pasted into a shell, they do what the message says.

A name is quoted for the shell. Some names cannot be shown unchanged: they hold a line feed, two
spaces, a byte that is not text, or a letter that the terminal's encoding lacks. Such a name is
written byte by byte as `$'...'`, which bash, zsh and ksh read.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import unicodedata
from pathlib import Path
from typing import Final

from corpus.files.places import NAME, expand_home

USUAL_ROOT: Final = Path("checkpoints")
"""The default folder of runs."""
ROOT_VARIABLE: Final = "CHARLM_CHECKPOINTS"

_IGNORABLE: Final = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
)
"""Letters and marks that Unicode lets a terminal leave out (Default_Ignorable_Code_Point)."""
_HARD_TO_SHOW: Final = re.compile(f"^ | $|  |[^\\W\\d_][\u0300-\u036f]{{5}}|[{_IGNORABLE}]")


def printed_command(
    command: str = "",
    *operands: str,
    flags: tuple[str, ...] = (),
    run: str | None = None,
    checkpoints: Path | None = None,
) -> str:
    """Returns a command line of this program, to be pasted into a shell.

    Args:
        command: the name of the command; empty for the app.
        operands: its arguments without an option.
        flags: options without a value.
        run: the value of ``--run``.
        checkpoints: the folder of runs; omitted if it is the default.
    """
    words = [NAME, *([command] if command else []), *flags]
    if run is not None:
        words += _option("--run", run)
    if checkpoints is not None and checkpoints != _usual_root():
        words += _option("--checkpoints", str(checkpoints))
    if any(operand.startswith("-") and operand != "-" for operand in operands):
        words.append("--")
    return " ".join(map(quoted, (*words, *operands)))


def _usual_root() -> Path:
    chosen = os.environ.get(ROOT_VARIABLE, "")
    return Path(expand_home(chosen)) if chosen else USUAL_ROOT


def _option(name: str, value: str) -> list[str]:
    """Returns the words of an option. A value that begins with a dash follows `=`."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def quoted(word: str) -> str:
    """Returns a word quoted for a shell, in characters that every message shows unchanged."""
    if _can_be_shown(word):
        return shlex.quote(word)
    # Three octal digits: behind two hexadecimal ones some shells take a third.
    return "$'" + "".join(map(_byte, os.fsencode(word))) + "'"


def _byte(byte: int) -> str:
    character = chr(byte)
    is_plain = character.isascii() and (character.isalnum() or character in "_./=:,@%+-")
    return character if is_plain else f"\\{byte:03o}"


def _can_be_shown(word: str) -> bool:
    if _HARD_TO_SHOW.search(word) or not word.isprintable():
        return False
    if word.isascii():
        return True
    encodings = (sys.getfilesystemencoding(), getattr(sys.stderr, "encoding", None) or "utf-8")
    if any(name.lower().replace("-", "").replace("_", "") != "utf8" for name in encodings):
        return False
    return all(
        character.isascii() or unicodedata.category(character)[0] in "LMN" for character in word
    )
