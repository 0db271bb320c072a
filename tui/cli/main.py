"""The command line: finds the command, runs it, and prints an error as one line.

A command is imported when it is called, so that it does not load the modules of other commands.
"""

from __future__ import annotations

import errno
import gc
import importlib
import importlib.metadata
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from model.system.cores import usable_cores

# NumPy and torch read these variables when they are imported, which the lines below cause.
# - NumPy's own threads would compete with the trainer's, and gain nothing on such small products.
# - The trainer's threads pass a barrier at every time step. A thread that spins there takes the
#   core from the thread that it waits for, and from the screen. LSTM(512), two threads, one core
#   busy: 13k characters a second without spinning, 4k with it. Without spinning, an idle machine
#   is a quarter slower.
# - By default PyTorch uses every core of the machine, even if a control group allows fewer.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))

import click
from click.shell_completion import CompletionItem, get_completion_class

from corpus import UserError
from corpus.files.missing_guarantees import take_missing
from model.errors import RunFolderError, TorchUnusable
from model.system.refusal import refusal_of
from tui.cli.mistyped import refusal_of_a_command, refusal_of_an_option
from tui.config.user_config import config_path, default_map, read_config
from tui.console.exit_status import (
    INTERNAL,
    PROGRAM,
    SIGNAL,
    USAGE,
    complain,
    drop_unwritten_output,
    reader_is_gone,
    status_of,
)
from tui.console.hidden_library import what_hides_a_library
from tui.console.interrupts import leave_at_once, raise_from_now_on
from tui.console.output import open_streams

APP = "(app)"
"""Name of the command that a missing or unknown first word means; it cannot be typed."""

COMMANDS = {
    APP: "tui.cli.commands.app:app",
    "lesson": "tui.cli.commands.lesson:lesson",
    "train": "tui.cli.commands.train:train",
    "generate": "tui.cli.commands.generate:generate",
    "evaluate": "tui.cli.commands.evaluate:evaluate",
    "export": "tui.cli.commands.export:export",
    "watch": "tui.cli.commands.watch:watch",
    "serve": "tui.cli.commands.serve:serve",
    "runs": "tui.cli.commands.runs:runs",
    "duel": "tui.cli.commands.duel:duel",
    "config": "tui.cli.commands.config:config",
    "corpora": "tui.cli.commands.corpora:corpora",
    "bench": "tui.cli.commands.bench:bench",
}
COMPLETION_VARIABLE = "_CHARLM_TUI_COMPLETE"
OWN_OPTIONS = ("--help", "-h", "--version", "--completion")


class ReaderGone(Exception):  # noqa: N818 - a fact, and no error of ours
    """The reader of standard output has closed it. Not an ``OSError``: Click exits with 1 then."""


class CommandLine(click.Group):
    """A group whose first word may be a text instead of a command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Returns the commands that can be typed."""
        return [name for name in COMMANDS if name != APP]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports the command; returns None if no command has that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Inserts the app's name if the first word is not a command."""
        if ctx.resilient_parsing and not args:
            return super().parse_args(ctx, args)  # the shell completes the first word
        known = (*self.list_commands(ctx), *OWN_OPTIONS)
        if not args or (args[0] not in known and not args[0].startswith("--completion=")):
            args = [APP, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes the first word with the commands and the options of the app."""
        app = self.get_command(ctx, APP)
        assert app is not None
        options = app.shell_complete(click.Context(app, parent=ctx), incomplete)
        offered = {
            item.value: item for item in [*super().shell_complete(ctx, incomplete), *options]
        }
        return list(offered.values())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Imports the requested command; from then on Ctrl-C raises an exception."""
        resolved = super().resolve_command(ctx, args)
        raise_from_now_on()
        return resolved

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command.

        Raises:
            RunFolderError: the working directory is gone. Every relative path would be wrong, and
                one of PyTorch's libraries would end the process without a message.
        """
        try:
            Path.cwd()
        except OSError as error:
            raise RunFolderError(
                "the working directory", "no longer exists", "change to one that exists"
            ) from error
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            if reader_is_gone():
                raise ReaderGone from error
            raise RuntimeError("a pipe broke that is not an output of this program") from error

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes both ways to call the program."""
        formatter.write_usage(PROGRAM, "[CORPUS] [OPTIONS]")
        formatter.write_usage(PROGRAM, "COMMAND [OPTIONS]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands, then the options of the app, which has no separate help page."""
        self.format_commands(ctx, formatter)
        app = self.get_command(ctx, APP)
        assert app is not None
        program_options = [
            record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))
        ]
        app_options = [param for param in app.params if isinstance(param, click.Option)]
        options = [record for param in app_options if (record := param.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(program_options)
        with formatter.section("Options of the app (and of train, where they concern training)"):
            formatter.write_dl(options)


def _print_completion(ctx: click.Context, _param: click.Parameter, shell: str | None) -> None:
    """Prints the completion script of a shell and exits."""
    if shell is None or ctx.resilient_parsing:
        return
    completion = get_completion_class(shell)
    assert completion is not None
    print(completion(cli, {}, PROGRAM, COMPLETION_VARIABLE).source())
    ctx.exit()


@click.group(
    cls=CommandLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(importlib.metadata.version(PROGRAM), prog_name=PROGRAM)
@click.option(
    "--completion",
    type=click.Choice(["bash", "zsh", "fish"]),
    is_eager=True,
    expose_value=False,
    callback=_print_completion,
    help='Print a script for tab completion: eval "$(charlm-tui --completion bash)".',
)
def cli() -> None:
    """Train a character-level language model in the terminal and watch it write while it learns.

    CORPUS is a built-in text (see `corpora`), a file, a folder, or - for standard input. Without
    CORPUS, the app trains on the embedded text. If a file has the name of a command, write ./NAME.
    With --debug, an error also prints its traceback.
    """


def _complete(order: str) -> int:
    """Answers a shell that completes a word; file names keep their bytes.

    Click itself would write in the encoding of standard output, which may lack some characters.
    """
    shell, _, work = order.partition("_")
    completion = get_completion_class(shell)
    if completion is None or work not in {"complete", "source"}:
        return INTERNAL
    chosen = completion(cli, {}, PROGRAM, COMPLETION_VARIABLE)
    answer = chosen.complete() if work == "complete" else chosen.source()
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(f"{answer}\n"))
    return 0


def _own_settings(arguments: list[str]) -> dict[str, Any]:
    """Returns what the user's settings file adds to a command's context: defaults and the file.

    Raises:
        UserError: the file exists and is invalid. The command ``config`` does not read it.
    """
    path = None if "config" in arguments[:1] else config_path()
    if path is None or not os.path.lexists(path):
        return {}
    from tui.cli.commands.app import app  # noqa: PLC0415 - only where there is a file
    from tui.config.keys import KEYS  # noqa: PLC0415

    config = read_config(path, [key.id for key in KEYS], app.params)
    mine = default_map(config, app.params)
    return {"default_map": dict.fromkeys(COMMANDS, mine), "obj": config}


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit status; prints an error as one line."""
    debug = "--debug" in arguments
    arguments = [word for word in arguments if word != "--debug"]
    try:
        if order := os.environ.get(COMPLETION_VARIABLE):
            return _complete(order)
        if os.environ.get("CHARLM_SIMD"):
            from model.sampling.simd_level import check_simd_level  # noqa: PLC0415 - LLVM

            check_simd_level()
        outcome: Any = cli.main(
            arguments,
            prog_name=PROGRAM,
            standalone_mode=False,
            **_own_settings(arguments),
        )
        if not outcome:
            sys.stdout.flush()
        return int(outcome or 0)
    except click.exceptions.Exit as error:
        return int(error.exit_code)
    except (ReaderGone, BrokenPipeError):  # the latter from the flush above
        return SIGNAL + int(signal.SIGPIPE)
    except (KeyboardInterrupt, click.Abort):
        return SIGNAL + int(signal.SIGINT)
    except Exception as error:  # noqa: BLE001 - the top of the program: a defect becomes one line
        if debug:
            traceback.print_exc()
        error = refusal_of(error) or error
        is_defect = status_of(error) == INTERNAL and not isinstance(error, TorchUnusable)
        obstacle = what_hides_a_library() if is_defect else None
        meant = refusal_of_a_command(error, arguments, COMMANDS)
        complain(obstacle or meant or _sentence(error))
        is_usage = obstacle is not None or isinstance(error, click.ClickException)
        return USAGE if is_usage else status_of(error)
    finally:
        for sentence in take_missing():
            complain(f"warning: {sentence}")


def _sentence(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, click.NoSuchOption):
        return refusal_of_an_option(error)
    if isinstance(error, click.ClickException):
        message = error.format_message().rstrip()
        end = "" if message.endswith((".", "?", "!")) else "."
        return f"{message}{end} See `{PROGRAM} --help`."
    if isinstance(error, OSError):
        name = error.filename if error.filename is not None else "output"
        remedy = "check the disk and the permissions"
        if error.errno == errno.ENAMETOOLONG:
            remedy = "give a shorter name"
        return f"{name}: {error.strerror or error}; {remedy}"
    return f"a defect in {PROGRAM}: {error!r}; --debug shows where"


def main() -> None:
    """Ends the process with the command's exit status."""
    # Imports make many objects that stay. At Python's own threshold, hundreds of collections visit
    # them in vain, which takes a twentieth of the processor time of a start.
    gc.set_threshold(10_000)
    leave_at_once()
    open_streams()
    try:
        sys.exit(run(sys.argv[1:]))
    finally:
        leave_at_once()
        drop_unwritten_output()
        # Python's last garbage collection would visit all of PyTorch's objects, a quarter second.
        gc.freeze()
