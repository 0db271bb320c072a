"""Standard output and standard error in any encoding; no text causes an encoding error.

Characters that an encoding lacks are written as backslash escapes, as Python does on standard
error. JSON stays valid, because it is ASCII if the output is not UTF-8.
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
    """Lets the standard streams accept any text; must be called before the first output.

    A stream that was closed before the program began (``>&-``) is replaced by the null device.
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
    """Returns the text as a stream shows it, with backslash escapes for what its encoding lacks.

    A table needs this for its column widths, because an escape takes more cells than a character.
    """
    if speaks_utf8(stream):
        return text
    return text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)


def json_for(stream: TextIO, line: str) -> str:
    """Returns a JSON text that fits the stream's encoding and holds no control character."""
    return harmless_json(line, ascii_only=not speaks_utf8(stream))


def say_json(record: Mapping[str, Any]) -> None:
    """Prints a JSON object as a line on standard output, at once."""
    print(json_for(sys.stdout, json.dumps(record, ensure_ascii=False)), flush=True)
