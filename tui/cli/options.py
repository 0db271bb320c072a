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
from model.config import NETWORKS
from model.presets import AUTO, PRESETS
from model.runs.printed_command import ROOT_VARIABLE, USUAL_ROOT
from model.runs.request import CHANGEABLE_ON_RESUME
from tui.cli.constraint_options import constraint_options
from tui.config.screen_settings import DEFAULT_FPS, DEFAULT_RATE
from tui.lesson.language import LANGUAGES

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
            self.fail("a path must be in quotes.", param, ctx)
        if not os.fspath(value):
            self.fail("the path is empty.", param, ctx)
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
    help="Folder of the runs (default: $CHARLM_CHECKPOINTS, otherwise checkpoints).",
)
run_option: Decorator[Any] = click.option("--run", metavar="NAME", help="Name of the run.")
checkpoint_option: Decorator[Any] = click.option(
    "--checkpoint",
    metavar="FILE",
    type=UserPath(),
    help="Use this checkpoint file, or the best one in this folder of a run, instead of --run.",
)
json_option: Decorator[Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line."
)
seed_option: Decorator[Any] = click.option(
    "--seed", type=int, metavar="N", help="Seed of all random numbers (default: random)."
)
encoding_option: Decorator[Any] = click.option(
    "--encoding",
    metavar="NAME",
    help="Encoding of the text (default: from its byte order mark, otherwise UTF-8).",
)
include_option: Decorator[Any] = click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="In a folder, read only files that match, such as '*.py' or 'src/*.c'. May be repeated.",
)
exclude_option: Decorator[Any] = click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="In a folder, skip files that match. May be repeated.",
)
offline_option: Decorator[Any] = click.option(
    "--offline", is_flag=True, help="Never use the network."
)

training_options = _stack(
    click.option(
        "--preset",
        metavar="NAME",
        default=None,
        help=f"Preset to start from: {', '.join(PRESETS)} (default: {AUTO}, which chooses the "
        "network for this machine, the text and --minutes).",
    ),
    click.option(
        "--network",
        type=click.Choice(list(NETWORKS)),
        help="Kind of network; presets cost as much a character with each (default: lstm, and "
        "rms-lstm with auto, where it is compiled).",
    ),
    click.option("--hidden", type=int, metavar="N", help="Number of units in each layer."),
    click.option("--layers", type=int, metavar="N", help="Number of layers."),
    click.option(
        "--embedding",
        type=int,
        metavar="N",
        help="Width of the character embedding; 0 uses one-hot vectors.",
    ),
    click.option(
        "--dropout",
        type=float,
        metavar="P",
        help="Dropout probability of the outputs of each layer.",
    ),
    click.option(
        "--embedding-dropout",
        type=float,
        metavar="P",
        help="Dropout probability of the embedding.",
    ),
    click.option(
        "--weight-dropout",
        type=float,
        metavar="P",
        help="Dropout probability of the recurrent weights (DropConnect).",
    ),
    click.option(
        "--weight-decay",
        type=float,
        metavar="X",
        help="Decoupled weight decay (AdamW): each step shrinks the matrices by X times the "
        "learning rate.",
    ),
    click.option(
        "--teacher-share",
        type=float,
        metavar="X",
        help="Train a first network for this part of the plan, then a second one that learns half "
        "from its predictions; 0 trains one network (default; `auto` chooses for long times).",
    ),
    click.option(
        "--averaging",
        type=float,
        metavar="D",
        help="Decay of the moving average of the weights; 0 turns it off (default: 0.998).",
    ),
    click.option("--batch", type=int, metavar="N", help="Number of parallel streams of text."),
    click.option(
        "--sequence",
        type=int,
        metavar="N",
        help="Characters of each stream in a step.",
    ),
    click.option("--learning-rate", type=float, metavar="X", help="Peak learning rate."),
    click.option(
        "--guard/--no-guard",
        default=None,
        help="Return to earlier, good weights if the loss diverges (default: on; notebook: off).",
    ),
    click.option(
        "--epochs",
        type=int,
        metavar="N",
        help="Total number of passes over the text.",
    ),
    click.option(
        "--minutes",
        type=float,
        metavar="X",
        help="Total training time. With --epochs, training ends at whichever comes first.",
    ),
    click.option(
        "--validation-fraction",
        type=float,
        metavar="X",
        help="Fraction of the text, at its end, that is held out for validation (default: 0.1).",
    ),
    click.option(
        "--lowercase/--no-lowercase",
        default=None,
        help="Convert the text to lower case (default: no; notebook: yes).",
    ),
    seed_option,
    run_option,
    click.option(
        "--resume",
        is_flag=True,
        help="Continue the run that --run names, or the newest run. CORPUS may be left out. "
        "The run keeps its settings. Only these options can change them: "
        f"{', '.join('--' + name.replace('_', '-') for name in sorted(NEW_ON_RESUME))}.",
    ),
    click.option(
        "--weights-only",
        is_flag=True,
        help="With --resume: load only the weights. The optimiser and the place in the text start "
        "again; steps and epochs are counted on.",
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
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        help="Device to train on (default: auto, a CUDA card if there is one, and MPS if it is "
        "faster than the CPU and computes the same).",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16"]),
        help="Precision of the training (default: auto).",
    ),
    click.option(
        "--threads", type=int, metavar="N", help="Number of CPU threads (default: 0, automatic)."
    ),
    include_option,
    exclude_option,
    encoding_option,
    offline_option,
)


def sampling_options(temperature: float) -> Decorator[Any]:
    """Returns the options of sampling, with this temperature as the default."""
    return _stack(
        click.option(
            "--temperature",
            type=float,
            default=temperature,
            metavar="T",
            help="Sampling temperature; 0 takes the most likely character (default: "
            f"{temperature:g}).",
        ),
        _truncation_options,
        constraint_options,
        prompt_option,
    )


_truncation_options = _stack(
    click.option(
        "--top-k",
        type=int,
        default=0,
        metavar="K",
        help="Keep the K most likely characters (default: 0, all).",
    ),
    click.option(
        "--top-p",
        type=float,
        default=1.0,
        metavar="P",
        help="Keep the smallest set of most likely characters that holds probability P (default: "
        "1, all).",
    ),
    click.option(
        "--min-p",
        type=float,
        default=0.0,
        metavar="P",
        help="Keep characters at least P times as likely as the most likely one (default: 0, all).",
    ),
    click.option(
        "--typical",
        type=float,
        default=1.0,
        metavar="TAU",
        help="Keep the smallest set that holds probability TAU and whose surprisal is closest to "
        "the entropy (default: 1, all).",
    ),
)
prompt_option: Decorator[Any] = click.option(
    "--prompt", type=Words(), default="", metavar="TEXT", help="Text that the model continues."
)

second_model_options = _stack(
    click.option(
        "--with",
        "second",
        metavar="B",
        type=Words(),
        help="Let a second model write, too: a run's name, its folder, or a checkpoint file. The "
        "probabilities of both are mixed.",
    ),
    click.option(
        "--mix",
        type=float,
        metavar="X",
        help="Weight of the second model, 0 to 1 (default: 0.5).",
    ),
)

screen_options = _stack(
    click.option(
        "--rate",
        type=float,
        default=DEFAULT_RATE,
        metavar="N",
        help=f"Characters written per second (default: {DEFAULT_RATE:g}).",
    ),
    click.option(
        "--fps",
        type=int,
        default=DEFAULT_FPS,
        metavar="N",
        help=f"Screen updates per second (default: {DEFAULT_FPS}).",
    ),
    click.option(
        "--low-bandwidth",
        is_flag=True,
        help="Send fewer bytes, for slow connections. The mouse is off.",
    ),
    click.option("--ascii", is_flag=True, help="Draw with ASCII characters only."),
    click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal."),
    click.option("--no-hints", is_flag=True, help="Show no hints below the header."),
    click.option(
        "--language",
        type=click.Choice(LANGUAGES),
        help="Language of the lesson (default: that of the locale, if it is one of these).",
    ),
    click.option(
        "--theme",
        metavar="NAME",
        help="Colour theme: okabe-ito for any kind of colour vision, one of Textual's, or your "
        "own.",
    ),
)
