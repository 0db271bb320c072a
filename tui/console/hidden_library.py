"""Which module on `PYTHONPATH` took the place of an installed library."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path


def what_hides_a_library() -> str | None:
    """Returns one line about a module on `PYTHONPATH` that took the place of an installed one.

    A newer version there is legitimate, so this is called only after an error.
    """
    entries = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    named = {Path(folder).absolute() for folder in entries}
    others = [folder for folder in sys.path if Path(folder).absolute() not in named]
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or "." in name:
            continue
        place = Path(file).parent if hasattr(module, "__path__") else Path(file)
        if place.parent in named and PathFinder.find_spec(name, others) is not None:
            hidden = f"{str(place)!a}: it hides the installed {name}"
            return f"{hidden}; rename it, or leave its folder out of PYTHONPATH"
    return None
