"""Scoring a held-out text: nats per character, stateful or in windows. PyTorch, always float32.

Each function is a generator that yields the done part after each small unit and returns the loss,
so that a pause or a stop need not wait for the end of a long text. Letters: T time, B batch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.batches import Ids
from model.errors import ModelError
from model.network import CharacterLSTM

Scoring = Generator[float, None, float]
"""Yields the done part, 0 to 1; returns nats per character."""

CHUNK = 256
PRIMER = 256
"""Characters read, unscored, before each stream but the first."""
SHORTEST_STREAM = 1024


def stateful(network: CharacterLSTM, ids: Ids, *, streams: int = 1) -> Scoring:
    """Scores the text in order with the state carried.

    With ``streams`` above 1, the text is cut into that many parts that are read side by side; each
    but the first is primed with the 256 characters before it, so that what it carries is, but for
    a trace, what one pass would carry.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    _require(ids, 2)
    streams = max(1, min(streams, len(ids) // SHORTEST_STREAM))
    length = -(-(len(ids) - 1) // streams)
    starts = [length * stream for stream in range(streams)]
    device = network.head.weight.device
    state = network.initial_state(streams)
    with _evaluating(network):
        if streams > 1:
            primer = min(PRIMER, length)
            rows = [ids[max(0, start - primer) : start] for start in starts[1:]]
            _, primed = network(_columns(rows).to(device))
            for whole, part in zip(state, primed, strict=True):
                whole[:, 1:] = part
    total, scored = 0.0, 0
    for first in range(0, length, CHUNK):
        rows = [ids[start + first : min(start + first + CHUNK, start + length) + 1]
                for start in starts]  # fmt: skip
        with _evaluating(network):
            # The last stream may be a few characters shorter: it runs alone where it differs.
            widths = {len(row) for row in rows}
            if len(widths) == 1:
                loss, count, state = _score(network, _columns(rows).to(device), state)
            else:
                loss, count, state = _score_ragged(network, rows, state)
        total += loss
        scored += count
        yield min(1.0, (first + CHUNK) / length)
    return total / scored


def windowed(
    network: CharacterLSTM,
    ids: Ids,
    *,
    window: int = 256,
    stride: int | None = None,
    last_only: bool = False,
    batch: int = 64,
) -> Scoring:
    """Scores windows, each from a cold start.

    Args:
        network: the network.
        ids: the text, one-dimensional.
        window: characters scored in a window (fewer where the text is shorter).
        stride: characters between the starts of two windows; None puts them end to end.
        last_only: score the last character of each window alone.
        batch: windows in a forward pass.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    _require(ids, 2)
    window = min(window, len(ids) - 1)
    starts = np.arange(0, len(ids) - window, stride or window)
    device = network.head.weight.device
    total, scored = 0.0, 0
    for first in range(0, len(starts), batch):
        chosen = starts[first : first + batch]
        block = torch.from_numpy(
            ids[chosen[None, :] + np.arange(window + 1)[:, None]].astype(np.int64)
        ).to(device)
        with _evaluating(network):
            if last_only:
                outputs, _ = network(block[:-1])
                losses = functional.cross_entropy(
                    network.logits(outputs[-1]), block[-1], reduction="sum"
                )
                loss, count = float(losses), block.shape[1]
            else:
                loss, count, _ = _score(network, block, None)
        total += loss
        scored += count
        yield min(1.0, (first + batch) / len(starts))
    return total / scored


def run_to_end(scoring: Scoring) -> float:
    """Returns the loss of a scoring that nobody needs to interrupt."""
    while True:
        try:
            next(scoring)
        except StopIteration as end:
            return float(end.value)


def _score(
    network: CharacterLSTM, block: Tensor, state: tuple[Tensor, Tensor] | None
) -> tuple[float, int, tuple[Tensor, Tensor]]:
    """Returns summed nats, count and state of ``block`` [T + 1, B]: inputs and their targets."""
    outputs, state = network(block[:-1], state)
    logits = network.logits(outputs)
    loss = functional.cross_entropy(logits.flatten(0, 1), block[1:].flatten(), reduction="sum")
    return float(loss), block[1:].numel(), state


def _score_ragged(
    network: CharacterLSTM, rows: list[Ids], state: tuple[Tensor, Tensor]
) -> tuple[float, int, tuple[Tensor, Tensor]]:
    """Does what ``_score`` does for rows of different lengths, one at a time."""
    total, scored = 0.0, 0
    hidden, cell = state[0].clone(), state[1].clone()
    for stream, row in enumerate(rows):
        if len(row) > 1:
            own = (state[0][:, stream : stream + 1], state[1][:, stream : stream + 1])
            block = _columns([row]).to(network.head.weight.device)
            loss, count, own = _score(network, block, (own[0].contiguous(), own[1].contiguous()))
            hidden[:, stream : stream + 1], cell[:, stream : stream + 1] = own
            total += loss
            scored += count
    return total, scored, (hidden, cell)


def _columns(rows: list[Ids]) -> Tensor:
    """Returns equally long rows as int64 columns [T, B]."""
    return torch.from_numpy(np.stack(rows, axis=1).astype(np.int64))


def _require(ids: Ids, least: int) -> None:
    if len(ids) < least:
        raise ModelError(
            "evaluation", f"{len(ids)} characters cannot be scored", "give a longer text"
        )


@contextmanager
def _evaluating(network: CharacterLSTM) -> Iterator[None]:
    """Turns dropout and gradients off, and the network's mode back to what it was."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)
