"""What a network predicts after each character of a text, and what its student learns. PyTorch.

Letters: T time, B batch, N characters of the text, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor

from model.compute.batch_threads import ONE_THREAD, BatchThreads
from model.data.batches import Ids
from model.evaluation.scoring import (
    CHUNK,
    Forward,
    columns,
    cut,
    evaluating,
    primed,
    require_characters,
    run_to_end,
)
from model.network.character_network import CharacterNetwork, State, joined, streams_of

STREAMS = 64
"""Maximum parts of the text that are read in parallel."""
SOFT_SHARE = 0.5
"""What a teacher predicts has this part in a student's targets (Hinton et al. 2015, temperature 1).
The rest is the text's."""


def predictions(
    network: CharacterNetwork,
    ids: Ids,
    *,
    threads: BatchThreads = ONE_THREAD,
    forward: Forward | None = None,
) -> Generator[float, None, Tensor]:
    """Reads a text with the state carried; yields the completed fraction now and then.

    Args:
        network: the network.
        ids: the text [N].
        threads: share the parts of the text.
        forward: the recurrent part; None for the network's.

    Returns:
        float16 [N - 1, V], the probabilities of the character that follows each one.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    require_characters(ids, 2)
    streams, stride = cut(len(ids), STREAMS)
    starts = [stride * stream for stream in range(streams)]
    device = network.head.weight.device
    table = torch.empty(len(ids) - 1, network.vocabulary_size, dtype=torch.float16, device=device)
    state = primed(network, ids, starts, threads, forward)
    for first in range(0, stride, CHUNK):
        last = min(first + CHUNK, stride)
        rows = [ids[start + first : min(start + last, len(ids) - 1)] for start in starts]
        with evaluating(network):
            found, state = _predicted(network, columns(rows).to(device), state, threads, forward)
        for stream, (start, row) in enumerate(zip(starts, rows, strict=True)):
            table[start + first : start + first + len(row)] = found[: len(row), stream]
        yield last / stride
    return table


def soft_targets(
    network: CharacterNetwork, ids: Ids, *, threads: BatchThreads, forward: Forward | None
) -> Tensor:
    """Returns the probabilities that a student learns, float16 [N - 1, V]; see `SOFT_SHARE`.

    The arguments are those of `predictions`; ``network`` is the teacher.
    """
    table = run_to_end(predictions(network, ids, threads=threads, forward=forward))
    following = torch.from_numpy(ids[1:].astype(np.int64)).to(table.device)[:, None]
    hard = torch.full_like(following, 1 - SOFT_SHARE, dtype=table.dtype)
    return table.mul_(SOFT_SHARE).scatter_add_(1, following, hard)


def _predicted(
    network: CharacterNetwork,
    block: Tensor,
    state: State,
    threads: BatchThreads,
    forward: Forward | None,
) -> tuple[Tensor, State]:
    """Returns probabilities [T, B, V] after each character of a block [T, B], and the state."""

    def of_streams(streams: slice) -> tuple[Tensor, State]:
        with torch.no_grad():  # gradient mode is per thread
            outputs, after = (forward or network)(block[:, streams], streams_of(state, streams))
            return network.logits(outputs).float().softmax(-1), after

    found, states = zip(*threads.map(of_streams, block.shape[1]), strict=True)
    return torch.cat(found, dim=1), joined(states)
