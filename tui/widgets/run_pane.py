"""The figures of the run: epoch, losses with their trend, speed, last checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from corpus.counted import counted
from model.events import AcceleratorMeasured
from tui.sanitise import one_line
from tui.view.absent import can_still_train
from tui.view.format import UNKNOWN, ago, fixed, grouped, is_known, percent, short, small, sparkline
from tui.view.state import MachineUse, ViewState
from tui.widgets.painted import Painted, Part, Row

TREND_BAND: Final = 0.002
"""Relative change below which a figure counts as level."""
_LABEL_CELLS = 10


class RunPane(Painted):
    """Figures in rows, the most important first."""

    def show(
        self, state: ViewState, now: float, use: MachineUse, *, ascii_only: bool, spark: bool
    ) -> None:
        """Shows the state at a time, and the use of the machine."""
        width, height = self.size
        rows = figure_rows(state, now, width, ascii_only=ascii_only, spark=spark)
        rows.append((9, machine_row(use)))
        if state.accelerator is not None:
            rows.append((6, accelerator_row(state.accelerator, width)))
        self.present(_fitting(rows, height))


def trend(before: float | None, after: float | None, *, ascii_only: bool) -> Part:
    """Returns the sign of a loss that falls (good), rises or stays."""
    if before is None or after is None or not is_known(before) or not is_known(after):
        return ("", "label")
    if after < before * (1 - TREND_BAND):
        return (" v" if ascii_only else " ▼", "good")
    if after > before * (1 + TREND_BAND):
        return (" ^" if ascii_only else " ▲", "bad")
    return (" =" if ascii_only else " ▬", "label")


def figure_rows(
    state: ViewState, now: float, width: int, *, ascii_only: bool, spark: bool
) -> list[tuple[int, Row]]:
    """Returns rows with their rank; a low pane leaves out the highest ranks."""
    losses, progress = state.losses, state.progress
    epochs = _planned_epochs(state)
    epoch = f"{progress.epoch or UNKNOWN}" + (f" / {epochs}" if epochs else "")
    steps = grouped(progress.step)
    if progress.planned_steps:
        steps += f" / {grouped(progress.planned_steps)}"
    best = losses.best is not None and fixed(losses.validation) == fixed(losses.best)
    validation: tuple[Part, ...] = (
        (fixed(losses.validation), "strong"),
        trend(losses.validation_before, losses.validation, ascii_only=ascii_only),
    )
    if best:
        validation = (*validation, (" best", "good"))
    elif losses.best is not None:
        validation = (*validation, (f" best {fixed(losses.best)}", "label"))
    falling = trend(losses.slow, losses.smoothed, ascii_only=ascii_only)
    bits = None if losses.validation is None else losses.validation / math.log(2)
    if bits is None and losses.smoothed is not None:
        bits = losses.smoothed / math.log(2)
    speed: list[Part] = [(short(losses.characters_per_second), "value"), (" char/s ", "label")]
    room = width - _LABEL_CELLS - sum(len(text) for text, _ in speed)
    if spark and room >= 4:
        speed.append((sparkline(losses.speeds, room, ascii_only=ascii_only), "accent"))
    rows = [
        (0, _row("train", (fixed(losses.smoothed), "strong"), falling)),
        (1, _row("val", *validation)),
        (
            3,
            _row(
                "bits/char",
                (fixed(bits, 2), "value"),
                *_reference_parts(state, width - _LABEL_CELLS - 4),
            ),
        ),
        (2, _row("epoch", (epoch, "value"))),
        (6, _row("step", (steps, "value"))),
        (5, _row("grad norm", (fixed(losses.gradient_norm, 2), "value"))),
        (7, _row("lr", (small(losses.learning_rate), "value"))),
        (4, _row("speed", *speed)),
        (8, _row("saved", *_checkpoint_parts(state, now, width))),
    ]
    if state.opened is not None and losses.smoothed is None:
        # The file alone is there: leave out what only the record of its run knows.
        known = {"val", "bits/char", "step", "saved"}
        rows = [row for row in rows if row[1][0][0].strip() in known]
    if state.run is not None and state.run.plan:
        plan = _first_parts(state.run.plan, max(1, width - _LABEL_CELLS))
        rows.append((4, _row("plan", (plan, "value"))))
    if progress.role != "only":
        rows.append((3, _row("network", (progress.role, "value"))))
    rows.extend(_spare_rows(state))
    return rows


def _reference_parts(state: ViewState, room: int) -> list[Part]:
    """Returns the bits per character of the dashed lines of the curve, as many as there is room."""
    parts = [
        (f"  {one_line(name, 8)} {fixed(bits, 2)}", "label")
        for name, bits in state.references[::-1]
    ]
    while len(parts) > 1 and sum(len(text) for text, _ in parts) > room:
        parts.pop()
    return parts


def machine_row(use: MachineUse) -> Row:
    """Returns processor and memory; a dash for a figure that is not available."""
    cores = UNKNOWN if use.cores is None else f"{use.cores:.1f}"
    memory = UNKNOWN if use.bytes is None else f"{use.bytes / 1e6:.0f}"
    return _row(
        "machine", (cores, "value"), (" cores, ", "label"), (memory, "value"), (" MB", "label")
    )


def accelerator_row(use: AcceleratorMeasured, width: int) -> Row:
    """Returns memory and utilisation of a GPU, and its name if there is room."""
    busy = "" if use.busy is None else f"{percent(use.busy)}, "
    total = f" of {use.bytes_total / 1e9:.1f}" if use.bytes_total else ""
    figures = f"{busy}{use.bytes / 1e9:.1f}{total} GB"
    room = width - _LABEL_CELLS - len(figures) - 2
    name = f"  {one_line(use.device, room)}" if room >= 8 else ""
    return _row("GPU", (figures, "value"), (name, "label"))


def _checkpoint_parts(state: ViewState, now: float, width: int) -> list[Part]:
    """Returns the last checkpoint and its age."""
    if state.opened is not None:
        return [(f"step {grouped(state.opened.step)}", "value")]
    if state.checkpoint is None and state.progress.first_step:
        return [(f"step {grouped(state.progress.first_step)}", "value")]
    if state.checkpoint is None:
        return [("not yet" if can_still_train(state) else "never", "label")]
    parts: list[Part] = [(f"step {grouped(state.checkpoint.step)}", "value")]
    if state.checkpoint_at is not None:
        age = ago(now - state.checkpoint_at)
        age = age if width > 34 else age.removesuffix(" ago").replace(" ", "")
        parts.append((f", {age}", "label"))
    return parts


def _spare_rows(state: ViewState) -> list[tuple[int, Row]]:
    """Returns the rows of least importance."""
    run, writing = state.run, state.writing
    rows = [(9, _row("surprise", (fixed(writing.surprise, 2), "value"), (" bits", "label")))]
    if run is not None:
        text = f"{short(run.characters)} of {run.vocabulary} symbols"
        rows.append((10, _row("text", (text, "value"))))
        precision = f"{one_line(run.precision, 12)}, {counted(run.threads, 'thread')}"
        rows.append((11, _row("precision", (precision, "value"))))
        rows.append((12, _row("seed", (str(run.seed), "value"))))
    if state.warnings_raised:
        rows.append((13, _row("warnings", (str(state.warnings_raised), "warn"))))
    return rows


def _first_parts(words: str, room: int) -> str:
    """Returns the parts of a list with commas that fit into the room, at least the first one."""
    parts = words.split(", ")
    while len(parts) > 1 and len(", ".join(parts)) > room:
        parts.pop()
    return one_line(", ".join(parts), room)


def _planned_epochs(state: ViewState) -> int | None:
    """Returns the number of planned epochs."""
    progress = state.progress
    if not progress.planned_steps or not progress.steps_per_epoch:
        return None
    return math.ceil(progress.planned_steps / progress.steps_per_epoch)


def _row(label: str, *parts: Part) -> Row:
    """Returns a row of a label and its figures."""
    return ((f"{label:<{_LABEL_CELLS}}", "label"), *parts)


def _fitting(rows: Sequence[tuple[int, Row]], height: int) -> list[Row]:
    """Returns the rows that fit, in their order; leaves out the highest ranks."""
    by_rank = sorted(range(len(rows)), key=lambda place: rows[place][0])
    return [rows[place][1] for place in sorted(by_rank[: max(0, height)])]
