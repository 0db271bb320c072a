"""What ends the building of a model before its time."""

from __future__ import annotations


class BuildCancelled(Exception):  # noqa: N818 - not an error
    """The caller has stopped the counting."""
