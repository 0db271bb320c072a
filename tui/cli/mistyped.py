"""What a mistyped command or option was meant to be, in the one line that refuses it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import click

from corpus import UserError
from corpus.nearest import nearest
from tui.console.exit_status import PROGRAM


def refusal_of_a_command(
    error: Exception, arguments: Sequence[str], commands: Iterable[str]
) -> str | None:
    """Returns the sentence for a first word that was to be a command, and was taken for a text.

    Args:
        error: why the word, or what stands after it, was refused.
        arguments: what was typed.
        commands: the names of all commands.

    Returns:
        None if the word was not refused, or no command is similar.
    """
    word = arguments[0] if arguments else ""
    known = tuple(commands)
    if isinstance(error, UserError):
        is_refused = error.subject == word and not error.remedy.startswith("did you mean")
    else:
        is_refused = isinstance(error, click.UsageError)
    can_be_one = word.isalpha() and word not in known and not os.path.lexists(word)
    command = nearest(word, known) if is_refused and can_be_one else None
    if command is None:
        return None
    return f"{word}: no such command, file or built-in text; did you mean `{PROGRAM} {command}`?"


def refusal_of_an_option(error: click.NoSuchOption) -> str:
    """Returns the sentence for an unknown option, with the most similar one of its command."""
    known: list[str] = []
    if error.ctx is not None:
        for parameter in error.ctx.command.get_params(error.ctx):
            known += [*parameter.opts, *parameter.secondary_opts]
    # Without the dashes, which all of them have in common.
    names = [name.removeprefix("--") for name in known if name.startswith("--")]
    near = nearest(error.option_name.lstrip("-"), names)
    meant = f"; did you mean --{near}?" if near else "."
    return f"No such option {error.option_name}{meant} See `{PROGRAM} --help`."
