"""A plain table on standard output, for people; scripts have ``--json``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from tui.sanitise import printable


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows of foreign text under headings.

    On a terminal the columns are folded to its width; elsewhere a row is a line.
    """
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - `--json` needs no table
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    on_terminal = sys.stdout.isatty()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(Text(heading), overflow="fold", no_wrap=not on_terminal)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=None if on_terminal else 10_000).print(table)
