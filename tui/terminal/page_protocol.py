"""What the server of a page and the driver in its process agree on, beside Textual's packets."""

from __future__ import annotations

from typing import Final

PRELUDE: Final = b"__GANGLION__\n"
"""Stands before the first packet."""
