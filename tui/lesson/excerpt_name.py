"""The short text of the lesson: its length, and the name by which the screen recognises it."""

from __future__ import annotations

from typing import Final

EXCERPT_CHARACTERS: Final = 2_000
EXCERPT_NAME: Final = f"{EXCERPT_CHARACTERS}-characters.txt"
