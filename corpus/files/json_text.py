"""Encodes values as JSON that UTF-8 can hold, even with file names that are not valid text."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Returns a value as JSON that UTF-8 can hold.

    An undecodable byte of a file name is a lone surrogate in Python. It is written as an escape, so
    that reading the JSON returns the same name.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
