"""``charlm-tui corpora``: the built-in texts, and the cache of encoded ones."""

from __future__ import annotations

import click

from corpus import builtin_texts, cache_limit, cached_texts, clear_texts, texts_folder
from tui.cli.options import json_option
from tui.console.output import say_json
from tui.console.table import print_table
from tui.sanitise import one_line, printable


@click.command()
@click.option(
    "--clear-cache",
    is_flag=True,
    help="Delete the cache of encoded texts, and print how much space that freed.",
)
@json_option
def corpora(*, clear_cache: bool, as_json: bool) -> None:
    """List the built-in texts and the cache of encoded texts.

    The column "here" says whether a text is on this machine. A large text starts quickly from the
    cache.
    """
    if clear_cache:
        freed = clear_texts()
        if as_json:
            say_json({"freed_bytes": freed})
        else:
            print(f"freed {size_in_words(freed)} in {printable(str(texts_folder()))}")
        return
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
            say_json(record)
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
    print()
    cached = cached_texts()
    used = size_in_words(sum(text.size for text in cached))
    print(
        f"cache of encoded texts: {used} of at most {size_in_words(cache_limit())} in "
        f"{printable(str(texts_folder()))}"
    )
    for entry in cached:
        name = one_line(entry.name, 60)
        print(f"  {name}: {entry.characters:,} characters, {size_in_words(entry.size)}")


def size_in_words(size: int) -> str:
    """Returns a size in the largest unit that gives at least 1."""
    for unit, bytes_in_it in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= bytes_in_it:
            return f"{size / bytes_in_it:.1f} {unit}"
    return f"{size} bytes"
