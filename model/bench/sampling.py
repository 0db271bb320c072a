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
from model.kernels.splitmix import BLOCK
from model.network.parameters import initial_parameters
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.long_text import LongText
from model.sampling.numpy_threads import fastest_products
from model.sampling.parallel_streams import (
    NUMPY_CHARACTERS,
    ParallelStreams,
    make_compiled_decoder,
)
from model.sampling.stream import CharacterStream
from model.sampling.torch_lstm import stepper_on
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
    """Returns what ``generate`` runs after its first thousands of characters."""
    vocabulary = Vocabulary.from_symbols([chr(33 + symbol) for symbol in range(VOCABULARY_SIZE)])
    sampling = SamplingConfig(temperature=TEMPERATURE)
    on_cpu = task.device == "cpu"
    if on_cpu and task.width == 1:
        text = LongText(
            CharacterStream(snapshot, vocabulary, sampling=sampling, seed=0), numpy_characters=0
        )
        return lambda span: rate_of(lambda: text.write(BLOCK), BLOCK, span)
    streams = ParallelStreams(
        snapshot,
        vocabulary,
        sampling=sampling,
        seeds=range(task.width),
        threads=usable_cores() if on_cpu else 1,
        make_stepper=stepper_on(torch.device(task.device)),
        make_decoder=make_compiled_decoder if on_cpu else None,
    )
    if on_cpu:
        streams.write(NUMPY_CHARACTERS)
    characters = task.width * OUR_CHARACTERS_PER_TIMING
    return lambda span: rate_of(lambda: streams.write(OUR_CHARACTERS_PER_TIMING), characters, span)


def _products_alone(task: Task, snapshot: LstmSnapshot) -> Implementation:
    """Returns the sampler's matrix products in NumPy, without anything else."""
    threads = 1 if task.width == 1 else min(usable_cores(), task.width)
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

    def matmul_rate(share: list[tuple[FloatArray, FloatArray, FloatArray]], span: float) -> float:
        def products() -> None:
            for _ in range(CHARACTERS_PER_TIMING):
                for matrix, x, out in share:
                    np.dot(matrix, x, out)

        return rate_of(products, CHARACTERS_PER_TIMING * (task.width // threads), span)

    def rate(span: float) -> float:
        if threads == 1:
            with fastest_products(snapshot):
                return matmul_rate(shares[0], span)
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda share: matmul_rate(share, span), shares))

    return rate
