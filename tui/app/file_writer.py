"""Writes a new file without stopping the screen, and words the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from corpus import UserError
from tui.export.new_file import write_new_file
from tui.sanitise import one_line
from tui.screens.session_host import Severity


async def written_file(
    folder: Path | None, run: str, kind: str, words: str, content: Callable[[], bytes]
) -> tuple[str, Severity]:
    """Writes a file in a thread; never overwrites one.

    Args:
        folder: where to write; None is the current folder.
        run: name of the run, with which the file's name begins.
        kind: end of the file's name, with its suffix.
        words: what the file holds.
        content: makes the bytes; runs in the thread.

    Returns:
        A sentence with the file's path, or with the reason of a failure, and its severity.
    """

    def work() -> Path:
        return write_new_file(folder or Path.cwd(), run, kind, content())

    try:
        path = await asyncio.to_thread(work)
    except OSError as error:
        place = one_line(str(error.filename or folder or "."), 120)
        cause = one_line(error.strerror or str(error), 120)
        remedy = "start the program in another folder"
        return f"{place}: {words} could not be written: {cause}; {remedy}", "error"
    except UserError as error:
        return one_line(str(error), 300), "error"
    return f"Wrote {words} to {one_line(str(path), 160)}", "information"
