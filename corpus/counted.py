"""A number of things in words."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Returns ``1 stream``, ``1,200 streams``; ``noun`` is the singular of a regular word."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
