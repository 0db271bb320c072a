"""Scores a held-out text in nats per character, stateful or in windows. PyTorch, float32.

A caller may give a quicker forward pass; head and loss are float32 in any case. Each scoring is a
generator that yields the completed fraction after each small unit of work, so a caller can pause or
stop the scoring of a long text. Letters: T time, B batch, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from corpus.generators import GeneratorWithResult
from model.compute.batch_threads import ONE_THREAD, BatchThreads
from model.data.batches import Ids
from model.errors import ModelError
from model.network.character_network import CharacterNetwork, State, joined, streams_of

Scoring = Generator[float, None, float]
"""Yields the completed fraction, 0 to 1; returns nats per character."""

Forward = Callable[[Tensor, State], tuple[Tensor, State]]
"""Takes ids [T, B] and a state; returns outputs [T, B, H] and the state after them."""

Result = TypeVar("Result")

CHUNK = 256
"""Characters of each stream in one forward pass."""
PRIMER = 256
"""Characters read without scoring before each stream except the first."""
MIN_STREAM_CHARACTERS = 1024
"""Minimum characters of text for each stream."""


def stateful(
    network: CharacterNetwork,
    ids: Ids,
    *,
    streams: int = 1,
    losses: npt.NDArray[np.float32] | None = None,
    limit: int | None = None,
    threads: BatchThreads = ONE_THREAD,
    forward: Forward | None = None,
) -> Scoring:
    """Scores the text in order with the state carried.

    With ``streams`` above 1, the text is cut into that many parts, which are read in parallel. Each
    part except the first is primed with the 256 characters before it. Its state is then almost the
    state that one pass would carry.

    Args:
        network: the network.
        ids: the text, one-dimensional.
        streams: maximum parts read in parallel; a short text has fewer.
        losses: receives the nats of every scored character, ``scored`` many. Without a limit these
            are all characters but the first.
        limit: approximate maximum of scored characters. Of a longer text, the beginning of each
            stream is scored.
        threads: the threads that share the streams.
        forward: the recurrent part; None for the network's.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    require_characters(ids, 2)
    streams, stride = cut(len(ids), streams)
    length = _limited(streams, stride, limit)
    starts = [stride * stream for stream in range(streams)]
    device = network.head.weight.device
    state = primed(network, ids, starts, threads, forward)
    total, count = 0.0, 0
    for first in range(0, length, CHUNK):
        rows = [ids[start + first : min(start + first + CHUNK, start + length) + 1]
                for start in starts]  # fmt: skip
        with evaluating(network):
            block = columns(rows).to(device)
            nats, state = _score(network, block, state, threads=threads, forward=forward)
            scored_rows = nats.cpu().unbind(1)  # one wait for the device, not one a stream
        # The last stream may be a few characters shorter. The losses of its padding are left out.
        parts = [part[: max(0, len(row) - 1)] for part, row in zip(scored_rows, rows, strict=True)]
        for stream, part in enumerate(parts):
            total += float(part.sum())
            count += len(part)
            if losses is not None:
                place = stream * length + first
                losses[place : place + len(part)] = part.numpy()
        yield min(1.0, (first + CHUNK) / length)
    return total / count


def primed(
    network: CharacterNetwork,
    ids: Ids,
    starts: list[int],
    threads: BatchThreads,
    forward: Forward | None,
) -> State:
    """Returns the state of streams that have read the characters before them, but for the first."""
    state = network.initial_state(len(starts))
    if len(starts) > 1:
        primer = min(PRIMER, starts[1])
        rows = [ids[max(0, start - primer) : start + 1] for start in starts[1:]]
        block, cold = columns(rows).to(network.head.weight.device), network.initial_state(len(rows))
        with evaluating(network):
            _, primed = _score(network, block, cold, threads=threads, forward=forward)
            for whole, part in zip(state, primed, strict=True):
                whole[:, 1:] = part
    return state


def cut(characters: int, streams: int) -> tuple[int, int]:
    """Returns the number of parallel parts of a text, and the scored characters of each part.

    Args:
        characters: length of the text.
        streams: maximum number of parts.
    """
    streams = max(1, min(streams, characters // MIN_STREAM_CHARACTERS))
    return streams, -(-(characters - 1) // streams)


def scored(characters: int, streams: int, limit: int | None = None) -> int:
    """Returns the number of characters that ``stateful`` scores.

    Args:
        characters: length of the text.
        streams: maximum number of parts.
        limit: approximate maximum of scored characters; None scores all.
    """
    streams, stride = cut(characters, streams)
    length = _limited(streams, stride, limit)
    last = characters - 1 - stride * (streams - 1)
    return (streams - 1) * length + min(length, last)


def _limited(streams: int, stride: int, limit: int | None) -> int:
    """Returns the number of scored characters of each stream."""
    return stride if limit is None else min(stride, max(1, -(-limit // streams)))


def windowed(
    network: CharacterNetwork,
    ids: Ids,
    *,
    window: int = 256,
    stride: int | None = None,
    last_only: bool = False,
    batch: int = 64,
    limit: int | None = None,
    threads: BatchThreads = ONE_THREAD,
    forward: Forward | None = None,
) -> Scoring:
    """Scores windows, each from a cold start.

    Args:
        network: the network.
        ids: the text, one-dimensional.
        window: characters scored in a window; a shorter text has a shorter window.
        stride: characters between the starts of two windows; None places them end to end.
        last_only: whether to score only the last character of each window.
        batch: windows in a forward pass.
        limit: maximum number of scored windows; of more, a subset at even distances is scored.
        threads: the threads that share the windows of a pass.
        forward: the recurrent part; None for the network's.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    require_characters(ids, 2)
    window = min(window, len(ids) - 1)
    stride = stride or window
    places = len(range(0, len(ids) - window, stride))
    if limit is not None and places > limit:
        starts = np.arange(limit) * (places - 1) // max(1, limit - 1) * stride
    else:
        starts = np.arange(places) * stride
    device = network.head.weight.device
    total, scored = 0.0, 0
    for first in range(0, len(starts), batch):
        chosen = starts[first : first + batch]
        block = torch.from_numpy(
            ids[chosen[None, :] + np.arange(window + 1)[:, None]].astype(np.int64)
        ).to(device)
        with evaluating(network):
            cold = network.initial_state(block.shape[1])
            nats, _ = _score(
                network, block, cold, last_only=last_only, threads=threads, forward=forward
            )
        total += float(nats.sum())
        scored += nats.numel()
        yield min(1.0, (first + batch) / len(starts))
    return total / scored


def run_to_end(scoring: Generator[float, None, Result]) -> Result:
    """Runs a scoring to its end and returns its result."""
    whole = GeneratorWithResult(scoring)
    for _ in whole:
        pass
    return whole.result


def cold_losses(network: CharacterNetwork, rows: list[Ids]) -> npt.NDArray[np.float32]:
    """Returns the nats [T, B] of B rows, each from a cold start; first characters have no loss.

    Args:
        network: the network.
        rows: B texts of T + 1 characters.
    """
    with evaluating(network):
        block = columns(rows).to(network.head.weight.device)
        nats, _ = _score(network, block, network.initial_state(len(rows)))
    return nats.cpu().numpy()


def columns(rows: list[Ids]) -> Tensor:
    """Returns rows as int64 columns [T, B]; shorter rows are padded with zeros."""
    block = np.zeros((max(map(len, rows)), len(rows)), np.int64)
    for column, row in enumerate(rows):
        block[: len(row), column] = row
    return torch.from_numpy(block)


def require_characters(ids: Ids, least: int) -> None:
    """Checks the length of a text.

    Raises:
        ModelError: the text has fewer than ``least`` characters.
    """
    if len(ids) < least:
        raise ModelError(
            "evaluation", f"{len(ids)} characters cannot be scored", "give a longer text"
        )


@contextmanager
def evaluating(network: CharacterNetwork) -> Iterator[None]:
    """Disables dropout and gradients; restores the network's mode at the end."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)


def _score(
    network: CharacterNetwork,
    block: Tensor,
    state: State,
    *,
    last_only: bool = False,
    threads: BatchThreads = ONE_THREAD,
    forward: Forward | None = None,
) -> tuple[Tensor, State]:
    """Returns nats [T, B] and the new state. ``block`` [T + 1, B] holds inputs and targets."""

    def of_streams(streams: slice) -> tuple[Tensor, State]:
        stream_state = streams_of(state, streams)
        targets = block[1:, streams]
        with torch.no_grad():  # gradient mode is per thread
            outputs, stream_state = (forward or network)(block[:-1, streams], stream_state)
            if last_only:
                outputs, targets = outputs[-1:], targets[-1:]
            logits = network.logits(outputs).flatten(0, 1)
            nats = functional.cross_entropy(logits, targets.flatten(), reduction="none")
        return nats.view_as(targets), stream_state

    parts = threads.map(of_streams, block.shape[1])
    nats, states = zip(*parts, strict=True)
    return torch.cat(nats, dim=1), joined(states)
