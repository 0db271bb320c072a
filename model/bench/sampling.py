"""Sampling implementations that `bench` compares: ours, and matrix products alone. PyTorch.

Letters: S streams, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from corpus import Vocabulary
from model.bench.rows import OURS, Implementation, Task, rate_of
from model.bench.training import VOCABULARY_SIZE
from model.config import ModelConfig, SamplingConfig
from model.network.parameters import initial_parameters
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.sampler import Sampler
from model.steppers.torch_lstm import stepper_on
from model.system.cores import usable_cores
from model.training.engines import trains_in_bf16

TEMPERATURE = 0.8
CHARACTERS_PER_TIMING = 16
OUR_CHARACTERS_PER_TIMING = 256
"""Characters of each stream in one call, as in ``generate``."""


def sampling_implementations(task: Task) -> Mapping[str, Implementation]:
    """Returns our sampler for a network of the task's shape, and the limit."""
    model = ModelConfig(hidden=task.hidden, layers=task.layers)
    snapshot = LstmSnapshot.from_weights(
        initial_parameters(model, VOCABULARY_SIZE, seed=0),
        step=0,
        precision="bf16" if trains_in_bf16() else "fp32",  # the default of a training here
    )
    implementations = {OURS: _ours(task, snapshot)}
    if task.device == "cpu":
        implementations["limit-fp32"] = _products_alone(task, snapshot)
    return implementations


def _ours(task: Task, snapshot: LstmSnapshot) -> Implementation:
    """Returns what ``generate`` runs after its first characters."""
    vocabulary = Vocabulary.from_symbols([chr(33 + symbol) for symbol in range(VOCABULARY_SIZE)])
    sampler = Sampler(
        snapshot,
        vocabulary,
        sampling=SamplingConfig(temperature=TEMPERATURE),
        seeds=range(task.width),
        make_stepper=stepper_on(torch.device(task.device)),
        numpy_characters=0,
    )

    def write() -> None:
        written = 0
        while written < OUR_CHARACTERS_PER_TIMING:
            ids, _ = sampler.write(OUR_CHARACTERS_PER_TIMING - written)
            written += len(ids)

    characters = task.width * OUR_CHARACTERS_PER_TIMING
    return lambda span: rate_of(write, characters, span)


def _products_alone(task: Task, snapshot: LstmSnapshot) -> Implementation:
    """Returns the sampler's matrix products in NumPy, without anything else.

    The threads share the streams; the rows of the matrices, if there is one stream. That one may be
    faster with a single thread.
    """
    cores = usable_cores()
    possible = {1, cores} if task.width == 1 else {min(cores, task.width)}
    return lambda span: max(
        _rate_of_products(task, snapshot, threads, span / len(possible)) for threads in possible
    )


def _rate_of_products(task: Task, snapshot: LstmSnapshot, threads: int, span: float) -> float:
    """Returns the characters a second for which some threads compute the products."""
    matrices = [layer.matrix for layer in snapshot.layers] + [snapshot.head_matrix]
    random = np.random.default_rng(0)
    columns = () if task.width == 1 else (task.width // threads,)

    def operands(rank: int) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        triples = []
        for matrix in matrices:
            rows = matrix if columns else np.array_split(matrix, threads)[rank]
            x = random.standard_normal((matrix.shape[1], *columns), np.float32)
            triples.append((rows, x, np.empty((len(rows), *columns), np.float32)))
        return triples

    def rate(share: list[tuple[FloatArray, FloatArray, FloatArray]]) -> float:
        def products() -> None:
            for _ in range(CHARACTERS_PER_TIMING):
                for matrix, x, out in share:
                    np.dot(matrix, x, out)

        streams = columns[0] if columns else 1 / threads
        return rate_of(products, CHARACTERS_PER_TIMING * streams, span)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(rate, [operands(rank) for rank in range(threads)]))
