"""``charlm-tui export``: a run's best weights, curve or page in a file. It imports no torch."""

from __future__ import annotations

from pathlib import Path

import click

from model.errors import ConfigError
from model.events import Planned, of_the_last_text, recorded_event
from model.runs.checkpoint import Checkpoint
from model.runs.export import SUFFIX, require_replaceable
from model.runs.export import export as write_export
from model.runs.file_names import METRICS_NAME
from model.runs.folder import RunFolder
from model.runs.reload_corpus import reload_corpus
from model.runs.storage import write_atomically
from model.session.analysis_thread import references
from model.session.counted_ngrams import CountedNgrams
from tui.cli.options import UserPath, checkpoints_option
from tui.console.exit_status import complain
from tui.export.curve_figure import curve_figure
from tui.export.curve_file import SUFFIXES, curve_bytes
from tui.page.page import page_of
from tui.sanitise import printable
from tui.view.chart_view import ChartView
from tui.view.fold import fold
from tui.view.state import ViewState


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
@click.option(
    "--curve",
    metavar="FILE",
    type=UserPath(),
    help="Write the loss curve to FILE instead, as SVG, PNG or PDF by its ending.",
)
@click.option(
    "--page",
    metavar="FILE",
    type=UserPath(),
    help="Write a page to FILE.html instead, on which the model writes in any browser.",
)
@click.option("--dark", is_flag=True, help="With --curve: draw on a dark page.")
@click.option("--force", is_flag=True, help="Replace existing files.")
def export(
    *,
    run: str | None,
    root: Path,
    output: Path | None,
    curve: Path | None,
    page: Path | None,
    dark: bool,
    force: bool,
) -> None:
    """Write the best weights of RUN (default: the newest) to a file, its loss curve, or a page.

    The file of the weights is a safetensors file, and a card in JSON describes it. The tensors have
    the names of torch.nn's state dicts. `generate`, `evaluate` and the app read the file with
    --checkpoint.
    """
    named = {"--curve": curve, "--page": page, "--output": output}
    first, *others = [option for option, path in named.items() if path is not None] or [""]
    if others:
        raise ConfigError(first, f"{others[0]} names another file", "give one of them")
    if dark and curve is None:
        raise ConfigError("--dark", "there is no curve to draw", "give --curve")
    folder = RunFolder.find(root, run)
    if curve is not None:
        _write_curve(folder, curve, dark=dark, force=force)
        print(printable(f"wrote {curve}: the loss curve of {folder.name}"))
        return
    checkpoint = folder.checkpoints.load_best(complain)
    if page is not None:
        size = _write_page(checkpoint, page, force=force)
        print(printable(f"wrote {page}: {size / 1e6:.2f} MB; open it in a browser"))
        return
    path = output or Path(f"{folder.name}{SUFFIX}")
    card = write_export(checkpoint, path, force=force)
    nats = checkpoint.metadata.nats_per_character
    loss = "not validated" if nats is None else f"{nats:.4f} nats per character"
    line = f"wrote {path} and {card}: step {checkpoint.metadata.step:,}, {loss}"
    print(printable(line))


def _write_page(checkpoint: Checkpoint, path: Path, *, force: bool) -> int:
    """Writes a page that writes with a checkpoint's weights; returns its size in bytes.

    Raises:
        ConfigError: the ending is not that of a page, or the path must not be written.
        UserError: the script of the page does not know this network.
        OSError: the file system refuses.
    """
    if path.suffix.lower() not in {".html", ".htm"}:
        raise ConfigError("--page", f"{path} has no ending of a page", "end it in .html")
    require_replaceable(path, "--page", force=force)
    data = page_of(checkpoint).encode()
    write_atomically(path, data)
    return len(data)


def _write_curve(folder: RunFolder, path: Path, *, dark: bool, force: bool) -> None:
    """Writes the loss curve of a run; the ending of the path says in which format.

    Raises:
        ConfigError: the ending is another one, the path must not be written, or there is no curve.
        CheckpointError: the run's record cannot be read.
        OSError: the file system refuses.
    """
    suffix = next((each for each in SUFFIXES if path.suffix.lower() == f".{each}"), None)
    if suffix is None:
        endings = ", ".join(f".{each}" for each in SUFFIXES)
        raise ConfigError("--curve", f"{path} has no ending of a picture", f"end it in {endings}")
    require_replaceable(path, "--curve", force=force)
    figure = curve_figure(_recorded(folder), ChartView())
    if figure is None:
        raise ConfigError(folder.name, "the run has recorded no curve", "name another run")
    write_atomically(path, curve_bytes(figure, suffix, dark=dark))


def _recorded(folder: RunFolder) -> ViewState:
    """Returns what the screen would know about a run from its files.

    The references are measured again, because no file holds their figures. A text that is missing
    is a warning.
    """
    records = of_the_last_text(folder.record.read_lines(METRICS_NAME))
    state = fold(ViewState(), filter(None, map(recorded_event, records)), 0.0)
    saved = folder.checkpoints.saved(complain)
    if not saved:
        return state
    metadata = saved[-1].metadata
    plan = Planned(
        steps_per_epoch=0,
        planned_steps=None,
        planned_seconds=None,
        first_step=metadata.step,
        network=metadata.model.network,
        layers=metadata.model.layers,
        hidden=metadata.model.hidden,
    )
    state = fold(state, [plan], 0.0)
    reloaded = reload_corpus(metadata, lambda: False)
    if isinstance(reloaded, str):
        complain(f"the curve has no lines to compare with: {reloaded}")
        return state
    corpus, split = reloaded
    measured = references(corpus, CountedNgrams(split, corpus.vocabulary))
    if measured.note:
        complain(measured.note)
    return fold(state, [measured], 0.0)
