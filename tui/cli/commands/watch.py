"""``charlm-tui watch``: the app on a run that another process trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from model.config import SamplingConfig
from model.runs.folder import RunFolder
from model.runs.printed_command import printed_command
from model.session.watch import WatchSession
from tui.cli.commands.app import prepare_screen, show
from tui.cli.constraint_options import constraints_of
from tui.cli.options import checkpoints_option, sampling_options, screen_options, seed_option
from tui.cli.request import sampling_config
from tui.config.screen_settings import FIRST_TEMPERATURE
from tui.console.exit_status import USAGE, complain
from tui.terminal.entrance import why_no_terminal


@click.command()
@click.argument("run", required=False)
@checkpoints_option
@seed_option
@sampling_options(FIRST_TEMPERATURE)
@screen_options
@click.option(
    "--read-only",
    is_flag=True,
    help="For spectators: the keys that write files and the suspend key are off.",
)
def watch(*, run: str | None, root: Path, **options: Any) -> int:
    """Watch RUN (default: the newest) while another process trains it.

    The curves follow the files of the run. The newest checkpoint writes the text. The run is never
    changed.
    """
    folder, sampling = require_watched(run, root, options)
    reason = why_no_terminal()
    if reason is not None:
        command = printed_command("runs", checkpoints=root)
        complain(f"{reason}; `{command}` lists the runs without a screen")
        return USAGE
    session = WatchSession(
        folder,
        sampling=sampling,
        rate=options["rate"],
        prompt=options["prompt"],
        seed=options["seed"],
        constraints=constraints_of(options),
    )
    settings = {**options, "root": None}
    status, _ = show(session, folder.name, sampling, settings, trains=False)
    return status


def require_watched(
    run: str | None, root: Path, options: dict[str, Any]
) -> tuple[RunFolder, SamplingConfig]:
    """Returns the run to watch and its initial sampling settings.

    Raises:
        UserError: an option is out of range, or the run does not exist.
    """
    sampling = sampling_config(options)
    constraints_of(options)
    prepare_screen(options)
    folder = RunFolder.find(root, run)
    folder.require_readable()
    return folder, sampling
