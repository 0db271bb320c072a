"""Standard output and standard error, whatever their encoding: nothing that is said ends a program.

What an encoding lacks is written with backslashes, as Python does on standard error. JSON stays
JSON: it is ASCII wherever the output is not UTF-8.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from tui.sanitise import harmless_json


def open_streams() -> None:
    """Lets the standard streams take any text; to be called before anything is said.

    One that was closed before the program began (``>&-``) is given to the null device.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def speaks_utf8(stream: TextIO) -> bool:
    """Tells whether a stream is written in UTF-8, or keeps text as it is."""
    encoding = getattr(stream, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name == "utf-8"


def encodable_on(stream: TextIO, text: str) -> str:
    """Returns the text as it will be read on a stream: what that lacks is written with backslashes.

    For what is laid out by width: backslashes take more cells than what they stand for.
    """
    if speaks_utf8(stream):
        return text
    return text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)


def json_for(stream: TextIO, line: str) -> str:
    """Returns a JSON text in the form that suits a stream and that no terminal obeys."""
    return harmless_json(line, ascii_only=not speaks_utf8(stream))


def say_json(record: Mapping[str, Any]) -> None:
    """Prints a JSON object as a line on standard output, at once."""
    print(json_for(sys.stdout, json.dumps(record, ensure_ascii=False)), flush=True)
