"""Ways of writing that `bench` compares: ours, PyTorch's stepping, and products alone. PyTorch.

Letters: S streams, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from corpus import Vocabulary
from model.batch_sampler import ParallelStreams
from model.bench_keras import fits, keras_is_installed, keras_predict
from model.bench_rows import OURS, Task, Way, rate_of
from model.bench_training import STOCK_THREADS, VOCABULARY_SIZE
from model.config import ModelConfig, SamplingConfig
from model.initialisation import initial_weights
from model.network import CharacterLSTM
from model.product_threads import fastest_products
from model.sampler import CharacterStream
from model.snapshot import FloatArray, WeightSnapshot

TEMPERATURE = 0.8
CHARACTERS_AT_ONCE = 16
OUR_CHARACTERS_AT_ONCE = 64
"""Characters of each stream between two looks at the clock; ``generate`` writes 256."""


def sampling_ways(task: Task) -> Mapping[str, Way]:
    """Returns the ways of writing with a network of the task's shape."""
    model = ModelConfig(hidden=task.hidden, layers=task.layers)
    weights = initial_weights(model, VOCABULARY_SIZE, seed=0)
    network = CharacterLSTM(model, VOCABULARY_SIZE)
    network.load_arrays(weights)
    snapshot = WeightSnapshot.from_weights(weights, step=0)
    if task.device != "cpu":
        network.to(task.device)
        return {
            OURS: _our_way(task, snapshot),
            "nn.LSTM": _stepping(task, network, _through_layers),
        }
    ways = {
        OURS: _our_way(task, snapshot),
        "nn.LSTM": _stepping(task, network, _through_layers),
        "nn.LSTMCell": _stepping(task, network, _through_cells(network)),
        "limit-fp32": _products_alone(task, snapshot),
    }
    if keras_is_installed() and fits(task):
        ways["keras"] = keras_predict(VOCABULARY_SIZE)
    return ways


def _our_way(task: Task, snapshot: WeightSnapshot) -> Way:
    """What ``generate`` does."""
    vocabulary = Vocabulary.from_symbols([chr(33 + symbol) for symbol in range(VOCABULARY_SIZE)])
    sampling = SamplingConfig(temperature=TEMPERATURE)
    if task.width == 1:
        stream = CharacterStream(snapshot, vocabulary, sampling=sampling, seed=0)

        def one_stream(span: float) -> float:
            with fastest_products(snapshot):
                return rate_of(stream.write, 1, span)

        return one_stream
    streams = ParallelStreams(
        snapshot,
        vocabulary,
        sampling=sampling,
        seeds=range(task.width),
        threads=os.cpu_count() or 1,
    )
    characters = task.width * OUR_CHARACTERS_AT_ONCE
    return lambda span: rate_of(lambda: streams.write(OUR_CHARACTERS_AT_ONCE), characters, span)


State = tuple[Tensor, Tensor]
Through = Callable[[CharacterLSTM, Tensor, State], tuple[Tensor, State]]
"""Takes one character further: network, inputs [S, E], state; returns outputs [S, H], state."""


def _through_layers(network: CharacterLSTM, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    outputs, after = network.lstm(inputs[None], state)
    return outputs[0], after


def _through_cells(network: CharacterLSTM) -> Through:
    lstm = network.lstm
    cells = [
        nn.LSTMCell(lstm.input_size if layer == 0 else lstm.hidden_size, lstm.hidden_size)
        for layer in range(lstm.num_layers)
    ]
    for layer, cell in enumerate(cells):
        cell.load_state_dict(
            {name: getattr(lstm, f"{name}_l{layer}") for name in cell.state_dict()}
        )

    def through(_: CharacterLSTM, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hiddens, carried = [], []
        for layer, cell in enumerate(cells):
            inputs, kept = cell(inputs, (state[0][layer], state[1][layer]))
            hiddens.append(inputs)
            carried.append(kept)
        return inputs, (torch.stack(hiddens), torch.stack(carried))

    return through


def _stepping(task: Task, network: CharacterLSTM, through: Through) -> Way:
    """A loop as tutorials write it: step, softmax, ``multinomial``, the id as a Python number."""
    assert network.embedding is not None, "the benchmark's shapes have an embedding"
    embedding = network.embedding
    ids = torch.zeros(task.width, dtype=torch.int64, device=task.device)
    state = network.initial_state(task.width)

    def write() -> None:
        nonlocal ids, state
        outputs, state = through(network, embedding(ids), state)
        probabilities = torch.softmax(network.logits(outputs) / TEMPERATURE, dim=-1)
        ids = torch.multinomial(probabilities, 1)[:, 0]
        ids.tolist()

    def way(span: float) -> float:
        torch.set_num_threads(STOCK_THREADS)
        with torch.no_grad():
            return rate_of(write, task.width, span)

    return way


def _products_alone(task: Task, snapshot: WeightSnapshot) -> Way:
    """The kernel's matrix products in NumPy and nothing else, shared out as ours are."""
    threads = 1 if task.width == 1 else min(os.cpu_count() or 1, task.width)
    matrices = [layer.matrix for layer in snapshot.layers] + [snapshot.head_matrix]
    random = np.random.default_rng(0)

    def operands() -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        columns = () if task.width == 1 else (task.width // threads,)
        pairs = []
        for matrix in matrices:
            x = random.standard_normal((matrix.shape[1], *columns), np.float32)
            pairs.append((matrix, x, np.empty((matrix.shape[0], *columns), np.float32)))
        return pairs

    shares = [operands() for _ in range(threads)]

    def multiply(share: list[tuple[FloatArray, FloatArray, FloatArray]], span: float) -> float:
        def products() -> None:
            for _ in range(CHARACTERS_AT_ONCE):
                for matrix, x, out in share:
                    np.dot(matrix, x, out)

        return rate_of(products, CHARACTERS_AT_ONCE * (task.width // threads), span)

    def way(span: float) -> float:
        if threads == 1:
            with fastest_products(snapshot):
                return multiply(shares[0], span)
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda share: multiply(share, span), shares))

    return way
