"""``charlm-tui corpora``: the built-in texts."""

from __future__ import annotations

import json

import click

from corpus import builtin_texts
from tui.options import json_option
from tui.sanitise import harmless_json
from tui.table import print_table


@click.command()
@json_option
def corpora(*, as_json: bool) -> None:
    """List the built-in texts: where they come from, size, whether they are on this machine."""
    texts = builtin_texts()
    if as_json:
        for text in texts:
            record = {
                "name": text.name,
                "description": text.description,
                "characters": text.characters,
                "source": text.source,
                "present": text.present,
            }
            click.echo(harmless_json(json.dumps(record, ensure_ascii=False)))
        return
    print_table(
        ("name", "characters", "here", "source", "description"),
        [
            (
                text.name,
                "unknown" if text.characters is None else f"{text.characters:,}",
                "yes" if text.present else "no",
                text.source,
                text.description,
            )
            for text in texts
        ],
    )
