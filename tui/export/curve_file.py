"""The file of a curve as bytes: SVG, PNG or PDF, by matplotlib.

The library takes half a second to import, so it is imported when the first file is asked for. It is
kept away from the terminal, from the fonts of the system and from settings that would change the
file: equal figures give equal bytes.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

from corpus.files.cache_folder import cache_folders
from model.errors import ConfigError
from tui.export.curve_figure import CurveFigure
from tui.sanitise import one_line

if TYPE_CHECKING:
    from types import ModuleType

Suffix = Literal["svg", "png", "pdf"]
SUFFIXES: Final[tuple[Suffix, ...]] = get_args(Suffix)
_ONE_AT_A_TIME: Final = threading.Lock()
"""matplotlib's settings belong to the whole process."""


def curve_bytes(figure: CurveFigure, suffix: Suffix, *, dark: bool) -> bytes:
    """Returns the file of a figure. The first call imports matplotlib: call it in a thread.

    Args:
        figure: what to draw.
        suffix: the format.
        dark: whether to draw light lines on a dark page.

    Raises:
        ConfigError: matplotlib cannot be imported.
    """
    with _ONE_AT_A_TIME:
        drawn: bytes = _drawing().drawn(figure, suffix, dark=dark)
    return drawn


def _drawing() -> ModuleType:
    """Returns the module that draws, after matplotlib was made quiet."""
    for library in ("matplotlib", "fontTools", "PIL"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    # A name may have characters that the font lacks; they are drawn as boxes.
    warnings.filterwarnings("ignore", message="Glyph .* missing from font")
    # Otherwise a program of the system lists the fonts, and complains on the terminal.
    os.environ["MPL_IGNORE_SYSTEM_FONTS"] = "1"
    folder = _settings_folder()
    if folder is not None:
        os.environ["MPLCONFIGDIR"] = str(folder)
    try:
        if Path("matplotlibrc").is_fifo():  # the library would wait for its first byte
            raise OSError("matplotlibrc is a named pipe")
        return importlib.import_module("tui.export.curve_drawing")
    except (ImportError, OSError, ValueError) as error:
        cause = f"cannot be imported ({one_line(str(error), 120)})"
        remedy = "move a file matplotlibrc out of this folder, or install charlm-tui again"
        raise ConfigError("matplotlib", cause, remedy) from error


def _settings_folder() -> Path | None:
    """Returns the folder for matplotlib's list of fonts; None if no folder can be written to."""
    for cache in cache_folders(usual=True):
        folder = cache / "matplotlib"
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
    return None
