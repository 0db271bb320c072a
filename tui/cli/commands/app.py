"""``charlm-tui [CORPUS]``: the app, which trains and writes at once."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from corpus import DEFAULT_TEXT, UserError
from model.config import SamplingConfig
from model.distributed.rank import rank_from_environment
from model.errors import ConfigError
from model.runs.printed_command import printed_command
from model.runs.request import RunRequest
from model.session.live import LiveSession, SavedWeights
from model.session.watch import WatchSession
from tui.cli.constraint_options import constraints_of
from tui.cli.next_work import can_train_again, can_train_longer, next_work
from tui.cli.options import (
    checkpoint_option,
    sampling_options,
    screen_options,
    second_model_options,
    training_options,
)
from tui.cli.request import (
    require_no_training,
    require_screen_ranges,
    require_there,
    run_request,
    sampling_config,
)
from tui.cli.saved_models import checkpoint_file, find_second, mix_of
from tui.config.screen_settings import FIRST_TEMPERATURE
from tui.config.user_config import UserConfig
from tui.console.exit_status import FILE_SYSTEM, INTERNAL, SIGNAL, USAGE, complain, status_of
from tui.console.output import speaks_utf8
from tui.lesson.language import language_of
from tui.terminal.entrance import is_served, take_text_from_stdin, why_no_terminal
from tui.terminal.guard import TerminalGuard

if TYPE_CHECKING:
    from tui.app.app import CharlmApp


LOW_BANDWIDTH_FPS = 8
MAX_FAREWELL_CHARACTERS = 40_000
"""Maximum length of the last messages: two longest paths with every byte escaped."""
SWITCH_SECONDS = 0.0002
"""Interpreter switch interval, seconds. The trainer needs the GIL many times a step while the
screen is drawn. Python's default of 5 ms would cost the trainer 5 %."""


@click.command()
@click.argument("corpus", required=False)
@training_options
@checkpoint_option
@second_model_options
@sampling_options(FIRST_TEMPERATURE)
@screen_options
@click.option(
    "--on-hangup",
    type=click.Choice(["save", "continue"]),
    help="What to do when the terminal closes. save: save and end (default). continue: train "
    "without a screen, and write train.log beside the checkpoints (default if SIGHUP is ignored, "
    "as under nohup). For long runs, tmux also keeps the screen.",
)
def app(corpus: str | None, **options: Any) -> int:
    """Train on CORPUS and watch the model write while it learns."""
    return open_app(corpus, options)


def open_app(corpus: str | None, options: dict[str, Any]) -> int:
    """Runs the app on what the command line names; returns the exit status."""
    work, sampling = require_app(corpus, options)
    if isinstance(work, RunRequest) and work.corpus == "-" and not sys.stdin.isatty():
        work = _with_piped_text(work)
    reason = why_no_terminal()
    if reason is not None:
        did = "writes" if isinstance(work, SavedWeights) else "trains"
        complain(f"{reason}; `{_without_a_screen(work)}` {did} without a screen")
        return USAGE
    return _show(work, sampling, options)


def _without_a_screen(work: RunRequest | SavedWeights) -> str:
    """Returns the command that trains, or writes, without a terminal."""
    if isinstance(work, SavedWeights):
        flags: tuple[str, ...] = ("--checkpoint", str(work.path))
        if work.second is not None:
            flags = (*flags, "--with", str(work.second), "--mix", f"{work.mix:g}")
        return printed_command("generate", flags=flags)
    flags = ("--resume",) if work.resume else ()
    operands = () if work.corpus is None or work.corpus == DEFAULT_TEXT else (work.corpus,)
    return printed_command("train", *operands, flags=flags, run=work.run, checkpoints=work.root)


def require_app(
    corpus: str | None, options: dict[str, Any]
) -> tuple[RunRequest | SavedWeights, SamplingConfig]:
    """Returns what the app trains or opens, and its first sampling settings.

    Raises:
        UserError: an option is out of range, or the text does not exist.
    """
    sampling = sampling_config(options)
    constraints_of(options)
    prepare_screen(options)
    _refuse_several_processes()
    return _work(corpus, options), sampling


def _refuse_several_processes() -> None:
    """Refuses to run as one of several training processes, because they would share one screen.

    Raises:
        ConfigError: ``torchrun`` started this process and others.
    """
    size = rank_from_environment(os.environ).size
    if size > 1:
        raise ConfigError(
            "the app",
            f"cannot be one of {size} processes",
            "let torchrun start `-m tui train`, and watch it with `charlm-tui watch RUN`",
        )


def prepare_screen(options: dict[str, Any]) -> None:
    """Checks the screen options, and sets the variables that Textual reads at import.

    Raises:
        ConfigError: an option is out of range, or the theme does not exist.
    """
    require_screen_ranges(options)
    # More frames than changes of the text would waste bytes.
    slow = options["low_bandwidth"]
    fps = min(LOW_BANDWIDTH_FPS, options["fps"]) if slow else options["fps"]
    os.environ.setdefault("TEXTUAL_FPS", str(fps))
    if slow:
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if options["theme"] is None:
        return
    from tui.config.themes import require_theme  # noqa: PLC0415 - after the environment is set

    user_config = own_config()
    context = click.get_current_context()
    from_file = context.get_parameter_source("theme") is ParameterSource.DEFAULT_MAP
    place = user_config.places.get("theme", "--theme") if from_file else "--theme"
    require_theme(options["theme"], list(user_config.themes), place)


def own_config() -> UserConfig:
    """Returns the content of the user's settings file."""
    return click.get_current_context().find_object(UserConfig) or UserConfig()


def _work(corpus: str | None, options: dict[str, Any]) -> RunRequest | SavedWeights:
    """Returns what to train, or the weights to write with; refuses a text that does not exist."""
    mix, second = mix_of(options), options["second"]
    if options["checkpoint"] is not None:
        if corpus is not None or options["resume"] or options["run"] is not None:
            raise ConfigError(
                "--checkpoint", "a text or a run was named as well", "name one of them"
            )
        require_no_training(options)
        second = None if second is None else find_second(second, options["root"])
        return SavedWeights(path=checkpoint_file(options["checkpoint"]), second=second, mix=mix)
    if second is not None:
        remedy = "name the first one with --checkpoint"
        raise ConfigError("--with", "there is no saved model to mix with", remedy)
    request = run_request(corpus, options)
    require_there(request)
    return request


def _with_piped_text(request: RunRequest) -> RunRequest:
    try:
        return replace(request, stdin_descriptor=take_text_from_stdin())
    except OSError as error:
        raise UserError(
            "-", "there is no terminal for the keys", "use `charlm-tui train -` instead"
        ) from error


def _show(work: RunRequest | SavedWeights, sampling: SamplingConfig, options: Any) -> int:
    """Runs the app, session after session, and returns the exit status of the last one."""
    while True:
        session = LiveSession(
            work,
            sampling=sampling,
            rate=options["rate"],
            prompt=options["prompt"],
            seed=options["seed"],
            constraints=constraints_of(options),
        )
        status, screen = show(
            session,
            _title(work),
            sampling,
            options,
            trains=isinstance(work, RunRequest),
            opened=work.path if isinstance(work, SavedWeights) else None,
            can_train_longer=can_train_longer(work, options["root"]),
            can_train_again=can_train_again(work, options["root"]),
            two_authors=isinstance(work, SavedWeights) and work.second is not None,
        )
        if status != 0 or screen.successor is None:
            return status
        work = next_work(screen.successor, work, options)
        sampling = screen.sampling
        prompt = screen.state.writing.prompt
        options = {
            **options,
            **screen.constraints.words(),
            "rate": screen.rate,
            "lesson": screen.lesson.progress,
            "theme": screen.theme,
            "no_hints": not screen.main_screen.shows_hints,
            "prompt": options["prompt"] if prompt is None else prompt,
        }


def show(
    session: LiveSession | WatchSession,
    title: str,
    sampling: SamplingConfig,
    options: Any,
    *,
    trains: bool,
    opened: Path | None = None,
    can_train_longer: bool = False,
    can_train_again: bool = False,
    two_authors: bool = False,
) -> tuple[int, CharlmApp]:
    """Runs the app on a session; returns the exit status, and the app as its user left it."""
    from tui.app.app import CharlmApp  # noqa: PLC0415 - after the environment is set
    from tui.config.screen_settings import ScreenSettings  # noqa: PLC0415
    from tui.terminal.terminal_app import is_loss  # noqa: PLC0415

    user_config = own_config()
    settings = ScreenSettings(
        title=title,
        trains=trains,
        rate=options["rate"],
        sampling=sampling,
        language=options["language"] or language_of(os.environ),
        constraints=constraints_of(options),
        prompt=options["prompt"],
        fps=options["fps"],
        low_bandwidth=options["low_bandwidth"],
        ascii=options["ascii"] or not _terminal_speaks_unicode(),
        mouse=not (options["no_mouse"] or options["low_bandwidth"]),
        hints=not options["no_hints"],
        theme=options["theme"],
        few_colors=_terminal_has_few_colors(),
        root=options["root"],
        opened=opened,
        can_train_longer=can_train_longer,
        can_train_again=can_train_again,
        two_authors=two_authors,
        read_only=options.get("read_only", False),
        keymap=user_config.keys,
        themes=user_config.themes,
    )
    screen = CharlmApp(session, settings, lesson=options.get("lesson"))
    sys.setswitchinterval(SWITCH_SECONDS)
    with TerminalGuard(session, screen, on_hangup=options.get("on_hangup")) as guard:
        failure: Exception | None = None
        try:
            screen.run(mouse=settings.mouse)
        except Exception as error:  # noqa: BLE001 - whatever ends the screen, the session saves
            failure = error
        failure = failure or screen.defect
        if is_loss(failure):
            guard.lose_terminal()
        guard.wait_for_the_end()
        ended = session.close(save=screen.quit_choice == "save")
        screen.wait_for_output()
    if guard.status is not None:
        return guard.status, screen
    return _status(screen, session, guard.received, failure, ended=ended), screen


def _status(
    screen: CharlmApp,
    session: LiveSession | WatchSession,
    received: int | None,
    failure: Exception | None,
    *,
    ended: bool,
) -> int:
    """Prints the last messages in the plain terminal and returns the exit status."""
    if screen.refusal is not None:
        complain(str(screen.refusal))
        return status_of(screen.refusal)
    _say_goodbye(screen, session)
    if received is not None:
        return SIGNAL + received
    if not ended:
        complain("a worker did not end within 30 seconds; its last steps may not be saved")
        return INTERNAL
    if failure is not None:
        raise failure
    if session.unsaved and screen.quit_choice == "save":
        return FILE_SYSTEM
    # A panic of Textual leaves no status at all.
    return INTERNAL if screen.return_code is None else screen.return_code


def _title(work: RunRequest | SavedWeights) -> str:
    if isinstance(work, SavedWeights):
        return work.path.name
    return Path(work.corpus).name if work.corpus else work.run or "the newest run"


def _terminal_speaks_unicode() -> bool:
    if is_served():
        return True
    return sys.__stderr__ is not None and speaks_utf8(sys.__stderr__)


def _terminal_has_few_colors() -> bool:
    """Tells whether Textual will choose sixteen colours, according to the environment."""
    from rich.console import Console  # noqa: PLC0415 - the app has it anyway
    from textual import constants  # noqa: PLC0415

    wished: Any = constants.COLOR_SYSTEM
    console = Console(color_system=wished, force_terminal=True)
    return console.color_system == "standard"


def _say_goodbye(screen: Any, session: LiveSession | WatchSession) -> None:
    """Prints the outcome of the run in the plain terminal."""
    screen.take(session.poll())
    for line in farewell(screen.state, session, saved=screen.quit_choice == "save"):
        complain(line, MAX_FAREWELL_CHARACTERS)


def farewell(state: Any, session: LiveSession | WatchSession, *, saved: bool) -> list[str]:
    """Returns the last lines: the run, its best loss, its folder, and the command to resume it."""
    lines = [crash.sentence for crash in state.crashes]
    if state.run is None or session.run_path is None:
        return lines
    best = state.losses.best
    loss = "not validated yet" if best is None else f"best validation {best:.4f} nats per character"
    lines.append(f"run {state.run.run}: step {state.progress.step:,}, {loss}")
    if not session.run_path.is_dir():
        return [*lines[:-1], f"run {state.run.run} was deleted"]
    if not saved:
        lines.append("stopped without saving: steps after the last checkpoint are lost")
    elif session.unsaved:
        lines.append(f"{session.run_path}: the last checkpoint could not be saved")
    else:
        command = printed_command(
            flags=("--resume",), run=session.run_path.name, checkpoints=session.run_path.parent
        )
        lines.append(f"saved in {session.run_path}; go on with: {command}")
    return lines
