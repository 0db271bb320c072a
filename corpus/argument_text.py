"""Names and words that came from the system as bytes, as people read them."""

from __future__ import annotations

import os


def readable(text: str) -> str:
    """Returns the UTF-8 text that an argument or a file's name was before the locale decoded it.

    Where its bytes are no UTF-8, the locale's reading stays.
    """
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text
