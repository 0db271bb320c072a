"""The entrance, which ensures that every other import is this program's.

Python searches the folders of `PYTHONPATH`, and after `-m` the working directory, before the folder
where this program is installed. A `model.py` or `tui.py` there would replace our package. So this
package is installed under a second name, `charlm_tui`, which no user's file has by chance
(`pyproject.toml`). It imports none of our packages before it has checked them. It also puts the
standard library first, so that a user's `json.py` is not imported.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
"""A type checker takes it as true; the module typing is not imported."""
if TYPE_CHECKING:
    from typing import NoReturn

USAGE, FILE_SYSTEM = 2, 5
OWN_FILES = {
    "corpus": "vocabulary.py",
    "model": "runs/folder.py",
    "tui": "cli/main.py",
}
"""A file that identifies each package."""
_REMEDY = "rename it, or leave its folder out of PYTHONPATH"


def main() -> None:
    """Runs the command line, unless a user's file hides one of our packages."""
    put_library_first()
    leave_out_working_directory()
    try:
        require_own("tui")
        from tui.console.interrupts import leave_at_once  # noqa: PLC0415 - see above

        leave_at_once()  # looking and importing take a while
        require_own("corpus")
        require_own("model")
        from tui.cli.main import main as run  # noqa: PLC0415
    except Exception as error:
        from tui.console.hidden_library import what_hides_a_library  # noqa: PLC0415 - see above

        obstacle = what_hides_a_library()
        if obstacle is not None:
            _end(obstacle)
        refusal = what_the_system_refuses(error)
        if refusal is not None:
            _end(refusal, FILE_SYSTEM)
        raise
    run()


def put_library_first() -> None:
    """Puts Python's standard library before modules of the same name on `PYTHONPATH`."""
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib may be a user's as yet
    first = [folder for folder in sys.path if folder in {library, f"{library}/lib-dynload"}]
    sys.path[:] = [*first, *(folder for folder in sys.path if folder not in first)]


def require_own(name: str) -> None:
    """Ends the process with one line if another module hides one of our packages."""
    obstacle = what_hides(name, OWN_FILES[name])
    if obstacle is not None:
        _end(obstacle)


def _end(obstacle: str, status: int = USAGE) -> NoReturn:
    print(f"charlm-tui: {obstacle}", file=sys.stderr)
    sys.exit(status)


def what_the_system_refuses(error: BaseException) -> str | None:
    """Returns one line if imports failed for lack of memory or of open files.

    ``model.system.refusal`` describes later refusals, but needs imports itself.
    """
    if getattr(error, "errno", None) == errno.EMFILE:
        return "open files: the system refuses to open more; raise the limit (ulimit -n)"
    if isinstance(error, MemoryError) or "failed to map segment" in str(error):
        return (
            "memory: the system refuses to allocate more; end other programs, or raise the limit "
            "(ulimit -v)"
        )
    return None


def what_hides(name: str, file: str) -> str | None:
    """Returns one line about the module that hides a package; None if the package is ours."""
    from importlib.util import find_spec  # noqa: PLC0415 - see above
    from pathlib import Path  # noqa: PLC0415

    spec = find_spec(name)
    if spec is None:
        return f"{name}: the package is not installed; install charlm-tui again"
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if any((folder / file).is_file() for folder in folders):
        return None
    place = str(folders[0] if folders else spec.origin)
    return f"{place!a}: it hides this program's package {name}; {_REMEDY}"


def leave_out_working_directory() -> None:
    """Removes the working directory from the module search path, unless `PYTHONPATH` names it.

    `python -m` adds it, and so does an empty entry of `PYTHONPATH`, as in `:/somewhere`. It stays
    if this program itself is in it.
    """
    from pathlib import Path  # noqa: PLC0415 - see above

    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        return
    if here in Path(__file__).resolve().parents[1:3]:
        return
    started_with_m = getattr(sys.modules.get("__main__"), "__spec__", None) is not None
    if started_with_m and not sys.flags.safe_path and str(here) in sys.path:
        sys.path.remove(str(here))  # the first one: what is named comes behind it
    python_path = os.environ.get("PYTHONPATH", "")
    named = python_path.split(os.pathsep)
    if python_path and "" in named and str(here) not in named and str(here) in sys.path:
        sys.path.remove(str(here))
