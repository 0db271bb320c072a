"""``charlm-tui generate``: text from a saved run on stdout, figures on stderr. Imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from corpus import (
    UserError,
    Vocabulary,
    fit_prompt,
    in_known_form,
    shown_symbols,
    unknown_symbols,
)
from model.config import MAX_SEED, SamplingConfig, require_range, to_record
from model.constraint_config import Constraints
from model.constraints.letters import allowed_symbols
from model.errors import ConfigError
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import read_checkpoint
from model.runs.folder import RunFolder
from model.session.authors import authors_opened
from model.session.sampler_thread import new_seed
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.stepper import MakeBatchStepper
from model.system.compiled_code import setback
from model.system.torch_import import require_torch
from tui.cli.constraint_figures import constraints_record, figures_of
from tui.cli.constraint_options import constraints_of
from tui.cli.generation import GenerationRequest, WrittenText
from tui.cli.options import (
    UserPath,
    Words,
    checkpoint_option,
    checkpoints_option,
    json_option,
    run_option,
    sampling_options,
    second_model_options,
    seed_option,
)
from tui.cli.request import sampling_config
from tui.cli.saved_models import checkpoint_file, find_second, mix_of
from tui.cli.text_file import is_coloured, require_output, write_output
from tui.console.exit_status import complain
from tui.console.output import say_json
from tui.sanitise import PrintableStream, one_line
from tui.view.absent import lacking_words


@click.command()
@run_option
@checkpoint_option
@checkpoints_option
@click.option(
    "--length",
    type=int,
    default=400,
    metavar="N",
    help="Number of characters to write (default: 400).",
)
@click.option(
    "--streams",
    type=int,
    default=1,
    metavar="N",
    help="Number of texts, with the seeds SEED, SEED+1, ... (default: 1).",
)
@click.option(
    "--stop",
    type=Words(),
    default="",
    metavar="TEXT",
    help="End each text before the first occurrence of TEXT.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "mps"]),
    default="cpu",
    help="Device to compute on (default: cpu). A GPU is worthwhile for many streams or large "
    "networks.",
)
@click.option(
    "--echo/--no-echo",
    default=True,
    help="Write the prompt before each text (default: on; with --json, it has its field).",
)
@click.option(
    "--output",
    metavar="FILE",
    type=UserPath(),
    help="Write the texts to a new FILE instead. FILE.html and FILE.svg show them in colours.",
)
@click.option(
    "--ink",
    type=click.Choice(["surprise"]),
    help="Colours of such a file: how many bits each character cost the model (default).",
)
@click.option("--raw", is_flag=True, help="Keep control characters, even on a terminal.")
@second_model_options
@sampling_options(SamplingConfig().temperature)
@seed_option
@json_option
def generate(**options: Any) -> None:
    """Write text with the best weights of a run (default: the newest)."""
    sampling = sampling_config(options)
    require_range("length", options["length"], 0, 10**15)
    require_range("streams", options["streams"], 1, 10_000)
    seed = new_seed() if options["seed"] is None else options["seed"]
    require_range("seed", seed, 0, MAX_SEED)
    output = options["output"]
    require_output(output, options["ink"], options["length"] * options["streams"])
    mix = mix_of(options)
    if options["second"] is not None and options["device"] != "cpu":
        raise ConfigError("--device", "two models write on the CPU", "leave it out, or --with")
    checkpoint = find_checkpoint(options["checkpoint"], options["root"], options["run"])
    second = _second(options, checkpoint)
    vocabulary = checkpoint.metadata.vocabulary
    if second is not None:
        vocabulary = vocabulary.united_with(second.metadata.vocabulary)
    constraints = _constraints(options, vocabulary)
    prompt = _prompt(options["prompt"], vocabulary)
    seeds = range(seed, seed + options["streams"])
    request = GenerationRequest(
        checkpoint=checkpoint,
        second=second,
        mix=mix,
        sampling=sampling,
        constraints=constraints,
        seeds=seeds,
        prompt=prompt,
        echo=options["echo"],
        length=options["length"],
        stop=_stop(options["stop"], vocabulary),
        show=(lambda _: None)
        if options["as_json"] or output
        else _show_on_stdout(raw=options["raw"]),
        make_stepper=_stepper_on(options["device"]),
        keeps_probabilities=is_coloured(output),
    )
    texts: list[tuple[int, WrittenText]] = []
    for number, written in zip(seeds, request.texts(), strict=True):
        if options["as_json"]:
            say_json(_record(request, number, written))
        else:
            _report(request, number, written)
            if number != seeds[-1]:
                request.show("\n")
        if output:
            texts.append((number, written))
    if output:
        write_output(output, request, texts)
        print(f"wrote {one_line(str(output), 300)}", file=sys.stderr)
    if note := setback():
        complain(note)


def _stepper_on(device: str) -> MakeBatchStepper:
    """Returns what makes steppers for a device.

    Raises:
        ConfigError: this machine does not have it.
        TorchUnusable: torch cannot be imported here.
    """
    if device == "cpu":
        return numpy_batch_stepper
    # Writing on the CPU does not import torch.
    require_torch()
    from model.compute.device import choose_device  # noqa: PLC0415
    from model.steppers.torch_lstm import stepper_on  # noqa: PLC0415

    return stepper_on(choose_device(device))


def find_checkpoint(path: Path | None, root: Path, run: str | None) -> Checkpoint:
    """Returns the checkpoint that a file or a run's folder holds, else the named or newest run's.

    Of a run it is the best one.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        ConfigError: both a run and a file were named.
    """
    if path is not None:
        if run is not None:
            raise ConfigError("--checkpoint", "a run was named as well", "name one of the two")
        return read_checkpoint(checkpoint_file(path))
    return RunFolder.find(root, run).checkpoints.load_best(complain)


def _constraints(options: dict[str, Any], vocabulary: Vocabulary) -> Constraints:
    """Returns what the texts obey.

    Raises:
        ConfigError: the model cannot obey, or lines are to be drafted on a GPU.
    """
    constraints = constraints_of(options)
    allowed_symbols(constraints, vocabulary)
    if constraints.has_line_rules and options["device"] != "cpu":
        raise ConfigError("--device", "lines are drafted on the CPU", "leave it out")
    return constraints


def _second(options: dict[str, Any], first: Checkpoint) -> Checkpoint | None:
    """Returns the second model, if one is named; says which symbols each of the two lacks."""
    if options["second"] is None:
        return None
    second = read_checkpoint(find_second(options["second"], options["root"]))
    for sentence in lacking_words(authors_opened(first, second)):
        complain(sentence)
    return second


def _prompt(text: str, vocabulary: Vocabulary) -> str:
    fitted = fit_prompt(text, vocabulary)
    if text and not fitted.text:
        raise UserError(
            "--prompt",
            "the model knows none of its characters",
            "use characters of the text that it was trained on",
        )
    if fitted.note:
        complain(fitted.note)
    return fitted.text


def _stop(text: str, vocabulary: Vocabulary) -> str:
    """Returns the stop text in the model's Unicode form; warns if the model can never write it."""
    stop = in_known_form(text, vocabulary)
    if lacking := unknown_symbols(stop, vocabulary):
        complain(
            f"--stop: the model never writes {shown_symbols(lacking)}, so nothing stops a text"
        )
    return stop


def _show_on_stdout(*, raw: bool) -> Callable[[str], None]:
    """Returns a function that writes to stdout; on a terminal the text is made printable."""
    on_terminal = sys.stdout.isatty()
    output, encoding = sys.stdout.buffer, sys.stdout.encoding
    stream = PrintableStream(keep_newlines=True)

    def show(text: str) -> None:
        if on_terminal and not raw:
            text = stream.feed(text)
        output.write(text.encode(encoding, "backslashreplace"))
        if on_terminal:
            output.flush()

    return show


def _report(request: GenerationRequest, seed: int, written: WrittenText) -> None:
    sys.stdout.flush()
    rate = len(written.text) / written.seconds if written.seconds > 0 else 0.0
    bits = written.bits_per_character
    figures = "" if bits is None else f", {bits:.2f} bits per character"
    figures += "".join(f", {words}" for words in figures_of(request.constraints, written))
    print(
        f"{request.models}, seed {seed}: "
        f"{len(written.text):,} characters, {rate:,.0f} a second{figures}",
        file=sys.stderr,
    )


def _record(request: GenerationRequest, seed: int, written: WrittenText) -> dict[str, Any]:
    metadata, second = request.checkpoint.metadata, request.second
    mixed = {} if second is None else {"with": second.metadata.run, "mix": request.mix}
    return {
        "run": metadata.run,
        "step": metadata.step,
        **mixed,
        **constraints_record(request.constraints, written),
        "prompt": request.prompt,
        "text": written.text,
        **to_record(request.sampling),
        "seed": seed,
        "characters": len(written.text),
        "seconds": round(written.seconds, 6),
        "characters_per_second": round(len(written.text) / max(written.seconds, 1e-9), 1),
        "bits_per_character": written.bits_per_character,
    }
