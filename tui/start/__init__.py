"""The first lines that run: they see to it that all the others are this program's.

Python imports from the folders of `PYTHONPATH`, and after `-m` from the working directory, before
it looks where this program is installed. A `model.py` or `tui.py` in one of them takes the place of
our package. So this one is installed under a second name, `charlm_tui`, that no file of a user has
by chance (`pyproject.toml`), and imports nothing of ours before it has looked. Python's own library
comes first from then on: a `json.py` of a user is not this program's.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
"""As a type checker reads it, without the module typing."""
if TYPE_CHECKING:
    from typing import NoReturn

USAGE, FILE_SYSTEM = 2, 5
OWN_FILES = {
    "corpus": "vocabulary.py",
    "model": "runs/folder.py",
    "tui": "cli/main.py",
}
"""A file of each package, by which it is known."""
_REMEDY = "rename it, or leave its folder out of PYTHONPATH"


def main() -> None:
    """Runs the command line, unless a file of the user takes the place of a package of ours."""
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
    """Lets Python's own library be found before modules of the same names on `PYTHONPATH`."""
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib may be a user's as yet
    own = [folder for folder in sys.path if folder in {library, f"{library}/lib-dynload"}]
    sys.path[:] = [*own, *(folder for folder in sys.path if folder not in own)]


def require_own(name: str) -> None:
    """Ends the process with one line where another module hides a package of ours."""
    obstacle = what_hides(name, OWN_FILES[name])
    if obstacle is not None:
        _end(obstacle)


def _end(obstacle: str, status: int = USAGE) -> NoReturn:
    print(f"charlm-tui: {obstacle}", file=sys.stderr)
    sys.exit(status)


def what_the_system_refuses(error: BaseException) -> str | None:
    """Returns one line where so little memory, or so few files, were allowed that imports failed.

    What is refused later is told by ``model.system.refusal``, which needs imports itself.
    """
    if getattr(error, "errno", None) == errno.EMFILE:
        return "open files: the system allows no more of them; raise the limit (ulimit -n)"
    if isinstance(error, MemoryError) or "failed to map segment" in str(error):
        return (
            "memory: the system gives no more of it; end other programs, or raise the limit "
            "(ulimit -v)"
        )
    return None


def what_hides(name: str, file: str) -> str | None:
    """Returns one line about what hides a package; None where the package has this file."""
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
    """Removes the working directory from where modules are looked for, unless it was named there.

    It comes there by `python -m`, and by an empty entry of `PYTHONPATH` as in `:/somewhere`. It
    stays where this program itself lies in it.
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
    given = os.environ.get("PYTHONPATH", "")
    named = given.split(os.pathsep)
    if given and "" in named and str(here) not in named and str(here) in sys.path:
        sys.path.remove(str(here))
