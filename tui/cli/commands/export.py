"""``charlm-tui export``: a run's best weights in one file. It does not import torch."""

from __future__ import annotations

from pathlib import Path

import click

from model.runs.export import SUFFIX
from model.runs.export import export as write_export
from model.runs.folder import RunFolder
from tui.cli.options import UserPath, checkpoints_option
from tui.console.exit_status import complain
from tui.sanitise import printable


@click.command()
@click.argument("run", required=False)
@checkpoints_option
@click.option(
    "--output",
    metavar="FILE",
    type=UserPath(),
    help="File to write (default: RUN.safetensors in this folder). The card is FILE with the "
    "ending .json.",
)
@click.option("--force", is_flag=True, help="Replace existing files.")
def export(*, run: str | None, root: Path, output: Path | None, force: bool) -> None:
    """Write the best weights of RUN (default: the newest) to a file.

    The file is a safetensors file, and a card in JSON describes it. The tensors have the names of
    torch.nn.LSTM's state dict. `generate`, `evaluate` and the app read the file with --checkpoint.
    """
    folder = RunFolder.find(root, run)
    checkpoint = folder.checkpoints.load_best(complain)
    path = output or Path(f"{folder.name}{SUFFIX}")
    card = write_export(checkpoint, path, force=force)
    nats = checkpoint.metadata.nats_per_character
    loss = "not validated" if nats is None else f"{nats:.4f} nats per character"
    line = f"wrote {path} and {card}: step {checkpoint.metadata.step:,}, {loss}"
    print(printable(line))
