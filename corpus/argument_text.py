"""Converts arguments and file names, which the system gives as bytes, to readable text."""

from __future__ import annotations

import os


def readable(text: str) -> str:
    """Returns an argument or a file's name decoded as UTF-8 instead of by the locale.

    If the bytes are not UTF-8, the text is returned unchanged.
    """
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text
