"""The commands that messages print: pasted into a shell they do what the message says.

A name is quoted as the shell wants it. One that a message could not show as it is (a line feed, two
spaces, a byte that is no text, a letter that the terminal's encoding lacks) is written byte by byte
as `$'...'`, which bash, zsh and ksh read.
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
"""Where runs are, unless the person says otherwise."""
ROOT_VARIABLE: Final = "CHARLM_CHECKPOINTS"

_HARD_TO_SHOW: Final = re.compile("^ | $|  |[^\\W\\d_][\u0300-\u036f]{5}")


def printed_command(
    command: str = "",
    *operands: str,
    flags: tuple[str, ...] = (),
    run: str | None = None,
    checkpoints: Path | None = None,
) -> str:
    """Returns a command line of this program, to be pasted into a shell.

    Args:
        command: its name; none for the app.
        operands: what it is about.
        flags: options without a value.
        run: the value of ``--run``.
        checkpoints: where the runs are; left out where the command would look there anyway.
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
    """Returns the words of an option; behind `=` a value may begin with a dash."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def quoted(word: str) -> str:
    """Returns a word as a shell wants it, in characters that every message shows as they are."""
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
