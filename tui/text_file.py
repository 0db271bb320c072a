"""Writes the model's text to a file of its own; knows no screen."""

from __future__ import annotations

import re
from pathlib import Path

from tui.sanitise import encodable

_LAST_NUMBER = 9_999


def write_text_file(folder: Path, run: str, text: str) -> Path:
    """Writes the text to the first free ``<run>-text-<n>.txt`` of the folder.

    Returns:
        The path written.

    Raises:
        OSError: the file system refuses, or every number is taken.
    """
    stem = re.sub(r"[^\w.-]+", "-", run)[:80].strip("-.") or "charlm"
    for number in range(1, _LAST_NUMBER + 1):
        path = folder / f"{stem}-text-{number}.txt"
        try:
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(encodable(text))
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{folder / stem}-text-1.txt to -{_LAST_NUMBER}.txt all exist")
