"""A plain table on standard output, for people; scripts have ``--json``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from tui.console.output import encodable_on, speaks_utf8
from tui.sanitise import drawn


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows of foreign text under headings.

    On a terminal the columns are folded to its width, but for the first one, whose names are for
    copying. Elsewhere each row is one line.
    """
    from rich.box import SIMPLE_HEAD, Box  # noqa: PLC0415 - `--json` needs no table
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from tui.widths import count_our_widths  # noqa: PLC0415

    count_our_widths()
    on_terminal = sys.stdout.isatty()
    # Rich would choose one with frames where it may not draw lines.
    box = (
        SIMPLE_HEAD
        if speaks_utf8(sys.stdout)
        else Box(str(SIMPLE_HEAD).replace("─", "-"), ascii=True)
    )
    table = Table(box=box, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        is_whole = number == 0 or not on_terminal
        table.add_column(Text(heading), overflow="fold", no_wrap=is_whole)
    for row in rows:
        table.add_row(*(Text(encodable_on(sys.stdout, drawn(cell))) for cell in row))
    Console(width=None if on_terminal else 10_000).print(table)
