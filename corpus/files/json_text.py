"""JSON that can be written to a file: names of files may hold what UTF-8 cannot."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Returns a value as JSON that UTF-8 can hold.

    A byte of a file's name that is no text is a lone surrogate in Python: it becomes an escape, so
    that reading gives the same name again.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
