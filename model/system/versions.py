"""The installed versions of packages. Pure."""

from __future__ import annotations

import importlib.metadata


def version_of(package: str) -> str:
    """Returns the version of an installed package, or ``unknown``."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
