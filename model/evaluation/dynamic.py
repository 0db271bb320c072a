"""Dynamic evaluation: scoring a text while learning from what was just scored. PyTorch.

Krause, Kahembwe, Murray and Renals, "Dynamic evaluation of neural sequence models" (2018). It
measures something else than a trained network at rest, and is reported apart.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch.nn import functional

from model.data.batches import Ids
from model.evaluation.scoring import Scoring, columns, require_characters
from model.network.character_network import CharacterNetwork

CHUNK = 32
"""Characters scored with the same weights, and then learnt from."""
RATE = 0.002
DECAY = 0.002
"""Part of the way back to the trained weights at each update."""
DAMPING = 1e-3
"""Added to the root mean square; keeps seldom used weights from leaping."""


def dynamic(
    trained: CharacterNetwork, ids: Ids, *, rate: float = RATE, decay: float = DECAY
) -> Scoring:
    """Scores a text in order with the state carried; each chunk is learnt from once it is scored.

    The update is theta += decay (theta_0 - theta) - rate g / (sqrt(m) + damping), with theta_0 the
    trained weights, g the gradient of the chunk's mean loss and m the mean of g squared over the
    text so far: the paper's RMS rule, except that its m comes from the training text, which a
    checkpoint does not hold, and that the decay is the same for all weights.

    Args:
        trained: the network; it is copied, not changed.
        ids: the text, one-dimensional.
        rate: length of an update; 0 with ``decay`` 0 is the stateful score.
        decay: part of the way back to the trained weights.

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
        state = (after[0].detach(), after[1].detach())
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
