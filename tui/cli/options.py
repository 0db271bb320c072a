"""The options that several commands share.

An omitted option is None, so that a preset or a saved run decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from corpus.argument_text import readable
from corpus.files.places import expand_home
from model.presets import (
    BY_MINUTES,
    DEFAULT_PRESET,
    PRESETS,
)
from model.runs.printed_command import ROOT_VARIABLE, USUAL_ROOT
from model.runs.request import CHANGEABLE_ON_RESUME

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

NEW_ON_RESUME = CHANGEABLE_ON_RESUME - {"seed"}
"""Settings that can change on resume, without the seed: a new seed affects only the sampler."""


class UserPath(click.Path):
    """A path that expands `~` itself, because no shell does after `=` or in a settings file."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Returns the expanded path; a value from a settings file may be no string."""
        if not isinstance(value, str | os.PathLike):
            self.fail("a path stands in quotes.", param, ctx)
        return super().convert(expand_home(os.fspath(value)), param, ctx)


class Words(click.ParamType[str]):
    """A prompt or a stop text. Valid UTF-8 is decoded as UTF-8 in any locale."""

    name = "text"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,  # noqa: ARG002
        ctx: click.Context | None,  # noqa: ARG002
    ) -> str:
        """Returns the decoded text."""
        return readable(value)


def _stack(*options: Decorator[Any]) -> Decorator[Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _told_apart(context: click.Context, _: click.Parameter, root: Path) -> Path:
    """Returns the folder of runs, as an absolute path if the settings file has another default.

    Printed commands omit the default name, and would otherwise select the folder of that file.
    """
    from_file = context.lookup_default("root")
    is_other = from_file is not None and Path(expand_home(str(from_file))) != USUAL_ROOT
    return root.absolute() if is_other and root == USUAL_ROOT else root


checkpoints_option: Decorator[Any] = click.option(
    "--checkpoints",
    "root",
    metavar="DIR",
    type=UserPath(),
    envvar=ROOT_VARIABLE,
    default=USUAL_ROOT,
    callback=_told_apart,
    help="Folder of runs (default: checkpoints, or $CHARLM_CHECKPOINTS).",
)
run_option: Decorator[Any] = click.option("--run", metavar="NAME", help="Name of the run.")
checkpoint_option: Decorator[Any] = click.option(
    "--checkpoint",
    metavar="FILE",
    type=UserPath(),
    help="A checkpoint file, instead of a run.",
)
json_option: Decorator[Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON objects, one a line."
)
seed_option: Decorator[Any] = click.option(
    "--seed", type=int, metavar="N", help="Seed of every random choice."
)
encoding_option: Decorator[Any] = click.option(
    "--encoding", metavar="NAME", help="Encoding of the text (default: its byte order mark, UTF-8)."
)
include_option: Decorator[Any] = click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Of a folder, only files like this, such as '*.py' or 'src/*.c'; may be repeated.",
)
exclude_option: Decorator[Any] = click.option(
    "--exclude", multiple=True, metavar="GLOB", help="Of a folder, no files like this."
)
offline_option: Decorator[Any] = click.option(
    "--offline", is_flag=True, help="Never use the network."
)

training_options = _stack(
    click.option(
        "--preset",
        metavar="NAME",
        default=None,
        help=f"Recipe to start from: {', '.join(PRESETS)} (default: {DEFAULT_PRESET}, or what fits "
        f"--minutes: {', '.join(f'{name} from {least:g}' for least, name in BY_MINUTES)}).",
    ),
    click.option("--hidden", type=int, metavar="N", help="Units of each LSTM layer."),
    click.option("--layers", type=int, metavar="N", help="LSTM layers."),
    click.option("--embedding", type=int, metavar="N", help="Width of the embedding; 0: one-hot."),
    click.option("--dropout", type=float, metavar="P", help="Chance of dropping a unit."),
    click.option(
        "--embedding-dropout",
        type=float,
        metavar="P",
        help="Chance of dropping a unit of the embedding.",
    ),
    click.option(
        "--weight-dropout",
        type=float,
        metavar="P",
        help="Chance of dropping an entry of the recurrent matrices.",
    ),
    click.option(
        "--weight-decay",
        type=float,
        metavar="X",
        help="Decoupled decay of the matrices (AdamW): they shrink by X times the learning rate a "
        "step.",
    ),
    click.option(
        "--averaging",
        type=float,
        metavar="D",
        help="Decay of the averaged weights; 0: none (default: 0.998).",
    ),
    click.option("--batch", type=int, metavar="N", help="Parallel streams of text."),
    click.option("--sequence", type=int, metavar="N", help="Characters per stream and step."),
    click.option("--learning-rate", type=float, metavar="X", help="Peak learning rate."),
    click.option(
        "--guard/--no-guard",
        default=None,
        help="Go back to good weights when the loss explodes (default: yes; notebook: no).",
    ),
    click.option("--epochs", type=int, metavar="N", help="Passes over the text, in all."),
    click.option("--minutes", type=float, metavar="X", help="Training time, in all."),
    click.option(
        "--validation-fraction",
        type=float,
        metavar="X",
        help="Part of the text, from its end, that is held out (default: 0.1).",
    ),
    click.option("--lowercase/--no-lowercase", default=None, help="Read the text in lower case."),
    seed_option,
    run_option,
    click.option(
        "--resume",
        is_flag=True,
        help="Go on with the run that --run names, or with the newest; CORPUS may be left out. Its "
        "settings stay; one that differs is refused, but for "
        f"{', '.join('--' + name.replace('_', '-') for name in sorted(NEW_ON_RESUME))}.",
    ),
    click.option(
        "--weights-only",
        is_flag=True,
        help="Resume only from the weights: the optimiser and the epoch start again.",
    ),
    checkpoints_option,
    click.option(
        "--checkpoint-every",
        type=float,
        metavar="SECONDS",
        help="Time between two checkpoints (default: 60).",
    ),
    click.option(
        "--tensorboard",
        is_flag=True,
        help="Also write curves and samples for TensorBoard into the run's folder.",
    ),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"])),
    click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"])),
    click.option("--threads", type=int, metavar="N", help="CPU threads; 0 chooses."),
    include_option,
    exclude_option,
    encoding_option,
    offline_option,
)

sampling_options = _stack(
    click.option(
        "--temperature", type=float, default=1.0, metavar="T", help="0: greedy. Default: 1."
    ),
    click.option("--top-k", type=int, default=0, metavar="K", help="Keep the K likeliest."),
    click.option("--top-p", type=float, default=1.0, metavar="P", help="Keep this probability."),
    click.option(
        "--min-p",
        type=float,
        default=0.0,
        metavar="P",
        help="Keep those at least P times as likely as the likeliest.",
    ),
    click.option(
        "--typical",
        type=float,
        default=1.0,
        metavar="TAU",
        help="Keep the most typical that hold this probability: surprisal near the entropy.",
    ),
    click.option("--prompt", type=Words(), default="", metavar="TEXT", help="Text to go on from."),
)

screen_options = _stack(
    click.option(
        "--rate", type=float, default=60.0, metavar="N", help="Characters written per second."
    ),
    click.option("--fps", type=int, default=15, metavar="N", help="Screen updates per second."),
    click.option("--low-bandwidth", is_flag=True, help="For slow lines: fewer bytes a second."),
    click.option("--ascii", is_flag=True, help="Draw with ASCII characters only."),
    click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal."),
    click.option(
        "--theme",
        metavar="NAME",
        help="A theme: okabe-ito for any kind of colour vision, one of Textual's, or your own.",
    ),
)
