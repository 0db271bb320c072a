"""The samples of all epochs as one readable text, from the first epoch on. Pure."""

from __future__ import annotations

from tui.sanitise import encodable, one_line
from tui.view.format import clock, fixed
from tui.view.sample_history import are_thinned
from tui.view.state import ViewState

_RULE = "-" * 72


def sample_text(state: ViewState) -> str:
    """Returns every sample with its time, its sampling settings and the loss at that time.

    A sample follows its prompt, which is in square brackets. Text is not made printable, because
    the result is for a file.
    """
    run = state.run
    head = ["Samples written while training"]
    if run is not None:
        head[0] += f" run {one_line(run.run, 100)} on {one_line(run.corpus, 100)}"
    if are_thinned(state.samples):
        head.append("(some epochs are left out; samples.jsonl in the run's folder has all)")
    head.append("The text in square brackets was given; the model wrote what follows it.")
    parts = ["\n".join(head)]
    for sample in state.samples:
        before = [y for x, y in state.losses.validation_curve.points if x <= sample.step]
        loss = f", validation {fixed(before[-1], 4)} nats" if before else ""
        parts.append(
            f"{_RULE}\nepoch {sample.epoch}, step {sample.step}, {clock(sample.time)}, "
            f"temperature {sample.temperature:.2f}, seed {sample.seed}{loss}\n\n"
            f"[{sample.prompt}]{sample.text}"
        )
    return encodable("\n\n".join(parts)) + "\n"
