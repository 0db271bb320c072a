"""The loops of tutorials that `model.bench.stock_process` times: PyTorch's and Keras'. PyTorch.

Letters: S streams, T time, V vocabulary, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.bench.keras import keras_fit, keras_predict
from model.bench.rows import Implementation, Task, rate_of
from model.bench.training import SEQUENCE, VOCABULARY_SIZE, random_text, repeated
from model.config import ModelConfig
from model.network.lstm import CharacterLSTM
from model.network.parameters import initial_parameters

TEMPERATURE = 0.8


def stock_implementation(task: Task, name: str) -> Implementation:
    """Returns the implementation with a name of `model.bench.stock_process.stock_names`."""
    training = task.kind == "training"
    if name == "keras":
        return keras_fit(VOCABULARY_SIZE) if training else keras_predict(VOCABULARY_SIZE)
    if training:
        return _training(task)
    model = ModelConfig(hidden=task.hidden, layers=task.layers)
    network = CharacterLSTM(model, VOCABULARY_SIZE)
    network.load_arrays(initial_parameters(model, VOCABULARY_SIZE, seed=0))
    network.to(task.device)
    return _stepping(task, network, _step_layers if name == "nn.LSTM" else _step_cells(network))


class _StockNetwork(nn.Module):
    """The network of a tutorial: one-hot vectors, ``nn.LSTM``, a linear head."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.lstm = nn.LSTM(VOCABULARY_SIZE, task.hidden, task.layers)
        self.head = nn.Linear(task.hidden, VOCABULARY_SIZE)

    def forward(
        self, ids: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, state = self.lstm(functional.one_hot(ids, VOCABULARY_SIZE).float(), state)
        return self.head(outputs), state


def _training(task: Task) -> Implementation:
    """Returns the loop of a tutorial: float32, plain AdamW, state carried and detached."""
    torch.manual_seed(0)
    network = _StockNetwork(task).to(task.device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    ids = torch.from_numpy(random_text().astype(np.int64)).to(task.device)
    stride = len(ids) // task.width
    streams = ids[: stride * task.width].view(task.width, stride).t().contiguous()
    place, state = 0, None

    def step() -> int:
        nonlocal place, state
        if place + SEQUENCE + 1 > stride:
            place, state = 0, None
        logits, after = network(streams[place : place + SEQUENCE], state)
        state = (after[0].detach(), after[1].detach())
        targets = streams[place + 1 : place + SEQUENCE + 1]
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        place += SEQUENCE
        return SEQUENCE * task.width

    def rate(span: float) -> float:
        return repeated(step, span, task.device)

    return rate


State = tuple[Tensor, Tensor]
StepFunction = Callable[[CharacterLSTM, Tensor, State], tuple[Tensor, State]]
"""Steps one character: takes network, inputs [S, E], state; returns outputs [S, H], state."""


def _step_layers(network: CharacterLSTM, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    outputs, after = network.lstm(inputs[None], state)
    return outputs[0], after


def _step_cells(network: CharacterLSTM) -> StepFunction:
    lstm = network.lstm
    cells = [
        nn.LSTMCell(lstm.input_size if layer == 0 else lstm.hidden_size, lstm.hidden_size)
        for layer in range(lstm.num_layers)
    ]
    for layer, cell in enumerate(cells):
        cell.load_state_dict(
            {name: getattr(lstm, f"{name}_l{layer}") for name in cell.state_dict()}
        )

    def step(_: CharacterLSTM, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hiddens, carried = [], []
        for layer, cell in enumerate(cells):
            inputs, kept = cell(inputs, (state[0][layer], state[1][layer]))
            hiddens.append(inputs)
            carried.append(kept)
        return inputs, (torch.stack(hiddens), torch.stack(carried))

    return step


def _stepping(task: Task, network: CharacterLSTM, step: StepFunction) -> Implementation:
    """Returns the loop of a tutorial: step, softmax, ``multinomial``, the id as a Python number."""
    assert network.embedding is not None, "the benchmark's shapes have an embedding"
    embedding = network.embedding
    ids = torch.zeros(task.width, dtype=torch.int64, device=task.device)
    hidden, cell = network.initial_state(task.width)
    state = hidden, cell

    def write() -> None:
        nonlocal ids, state
        outputs, state = step(network, embedding(ids), state)
        probabilities = torch.softmax(network.logits(outputs) / TEMPERATURE, dim=-1)
        ids = torch.multinomial(probabilities, 1)[:, 0]
        ids.tolist()

    def rate(span: float) -> float:
        with torch.no_grad():
            return rate_of(write, task.width, span)

    return rate
