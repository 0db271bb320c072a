"""The page of the session that the app shows: of the weights that are saved on the disk."""

from __future__ import annotations

from pathlib import Path

from model.config import NetworkKind
from model.errors import CheckpointError
from model.runs.checkpoint_file import read_checkpoint
from model.runs.folder import RunFolder
from tui.page.page import LSTM_ONLY, WRITES_WITH, page_of


def saved_page(
    opened: Path | None, root: Path | None, run: str | None, network: NetworkKind
) -> bytes:
    """Returns the page of an opened checkpoint, or of the best one that a run has saved so far.

    Args:
        opened: the checkpoint file that the session writes with, unless it trains or watches.
        root: folder of the runs.
        run: name of the session's run.
        network: kind of its network.

    Raises:
        UserError: there is no checkpoint, it is damaged, or the page does not know its network.
    """
    if opened is not None:
        return page_of(read_checkpoint(opened)).encode()
    if root is None or run is None:
        raise CheckpointError("the page", "there is no run yet", "wait until the text streams")
    if network not in WRITES_WITH:
        raise CheckpointError("the page", LSTM_ONLY, "open another run")
    checkpoints = RunFolder.find(root, run).checkpoints
    if not checkpoints.paths():
        raise CheckpointError("the page", "nothing is saved yet", "press s to save a checkpoint")
    return page_of(checkpoints.load_best(lambda _: None)).encode()
