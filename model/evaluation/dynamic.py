"""Dynamic evaluation: scores a text and trains on each chunk after scoring it. PyTorch.

The method is from Krause, Kahembwe, Murray and Renals, "Dynamic evaluation of neural sequence
models" (2018). Its score is not comparable with that of fixed weights and is reported separately.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch.nn import functional

from model.data.batches import Ids
from model.evaluation.scoring import Scoring, columns, require_characters
from model.network.character_network import CharacterNetwork

CHUNK = 32
"""Characters between two updates of the weights."""
RATE = 0.002
"""Learning rate of an update."""
DECAY = 0.002
"""Fraction by which each update moves the weights back to the trained weights."""
DAMPING = 1e-3
"""Added to the root mean square, so that rarely used weights do not jump."""


def dynamic(
    trained: CharacterNetwork, ids: Ids, *, rate: float = RATE, decay: float = DECAY
) -> Scoring:
    """Scores a text in order with the state carried, and trains on each chunk after scoring it.

    The update is theta += decay (theta_0 - theta) - rate g / (sqrt(m) + damping). Here theta_0 is
    the trained weights and g the gradient of the chunk's mean loss. m is the mean of g squared over
    the text so far. This is the paper's RMS rule with two differences. The paper computes m on the
    training text, which a checkpoint does not hold. Here the decay is the same for all weights.

    Args:
        trained: the network; it is copied, not changed.
        ids: the text, one-dimensional.
        rate: learning rate; 0 with ``decay`` 0 gives the stateful score.
        decay: fraction by which an update moves the weights back to the trained weights.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    require_characters(ids, 2)
    network = deepcopy(trained).train()
    device = network.head.weight.device
    parameters = list(network.parameters())
    origin = [parameter.detach().clone() for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    state = network.initial_state(1)
    total = 0.0
    count = len(ids) - 1
    for number, first in enumerate(range(0, count, CHUNK), start=1):
        block = columns([ids[first : first + CHUNK + 1]]).to(device)
        outputs, after = network(block[:-1], state)
        logits = network.logits(outputs).flatten(0, 1)
        loss = functional.cross_entropy(logits, block[1:].flatten())
        total += float(loss.detach()) * (len(block) - 1)
        state = tuple(part.detach() for part in after)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, start, square, gradient in zip(
                parameters, origin, squares, gradients, strict=True
            ):
                square.lerp_(gradient.square(), 1 / number)
                parameter.lerp_(start, decay)
                parameter.addcdiv_(gradient, square.sqrt().add_(DAMPING), value=-rate)
        yield min(1.0, (first + CHUNK) / count)
    return total / count
