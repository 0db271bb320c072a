"""The first lines that run: they see to it that all the others are this program's.

Python imports from the folders of `PYTHONPATH`, and after `-m` from the working directory, before
it looks where this program is installed. A `model.py` or `tui.py` in one of them takes the place of
our package. So this one is installed under a second name, `charlm_tui`, that no file of a user has
by chance (`pyproject.toml`), and imports nothing of ours before it has looked.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

USAGE: Final = 2
OWN_FILES: Final = {
    "corpus": "vocabulary.py",
    "model": "run_folder.py",
    "tui": "command_line.py",
}
"""A file of each package, by which it is known."""


def main() -> None:
    """Runs the command line, unless a file of the user takes the place of a package of ours."""
    leave_out_working_directory()
    require_own("tui")
    from tui.interrupts import leave_at_once  # noqa: PLC0415 - see above

    leave_at_once()  # looking and importing take a while
    require_own("corpus")
    require_own("model")
    from tui.command_line import main as run  # noqa: PLC0415

    run()


def require_own(name: str) -> None:
    """Ends the process with one line where another module hides a package of ours."""
    obstacle = what_hides(name, OWN_FILES[name])
    if obstacle is not None:
        print(f"charlm-tui: {obstacle}", file=sys.stderr)
        sys.exit(USAGE)


def what_hides(name: str, file: str) -> str | None:
    """Returns one line about what hides a package; None where the package has this file."""
    spec = find_spec(name)
    if spec is None:
        return f"{name}: the package is not installed; install charlm-tui again"
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if any((folder / file).is_file() for folder in folders):
        return None
    place = str(folders[0] if folders else spec.origin)
    return (
        f"{place!a}: it hides this program's package {name}; rename it, or leave its folder out of "
        "PYTHONPATH"
    )


def leave_out_working_directory() -> None:
    """Removes the working directory from where modules are looked for, unless it was named there.

    It comes there by `python -m`, and by an empty entry of `PYTHONPATH` as in `:/somewhere`. It
    stays where this program itself lies in it.
    """
    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        return
    if here in Path(__file__).resolve().parents[1:3]:
        return
    started_with_m = getattr(sys.modules.get("__main__"), "__spec__", None) is not None
    if started_with_m and sys.path[:1] == [str(here)]:
        del sys.path[0]
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if any(named) and "" in named and str(here) not in named and str(here) in sys.path:
        sys.path.remove(str(here))
