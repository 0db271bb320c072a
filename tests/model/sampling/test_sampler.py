"""One sampler: the text of a seed, whatever its length, its neighbours and the threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import VOCABULARY, constant_snapshot
from network_fixtures import make_network, snapshot_of
from noise_by_definition import assert_drawn

from model.compute.team import thread_counts
from model.config import ModelConfig, SamplingConfig
from model.kernels.splitmix import BLOCK
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.sampler import NUMPY_CHARACTERS, Sampler
from model.sampling.stream import CharacterStream
from model.steppers import numpy_lstm
from model.steppers.numpy_lstm import COLUMNS, batch_matmul

LENGTH = 3 * BLOCK
SAMPLINGS = {
    "plain": SamplingConfig(),
    "cool": SamplingConfig(temperature=0.5),
    "greedy": SamplingConfig(temperature=0),
    "hardly warm": SamplingConfig(temperature=1e-5),
    "top-k": SamplingConfig(top_k=3),
    "top-k and min-p": SamplingConfig(top_k=3, min_p=0.1),
    "top-p": SamplingConfig(temperature=1.5, top_p=0.7),
    "typical": SamplingConfig(temperature=0.8, typical=0.6),
    "all rules": SamplingConfig(top_k=9, top_p=0.9, min_p=0.01, typical=0.8),
    "greedy among few": SamplingConfig(temperature=0, typical=0.6),
}


def make_snapshot(hidden: int = 12, layers: int = 1, embedding: int = 0) -> LstmSnapshot:
    config = ModelConfig(hidden=hidden, layers=layers, embedding=embedding)
    # With larger weights a wide network is chaotic: it makes much of the last digit.
    return snapshot_of(make_network(config, len(VOCABULARY), scale=2 / (4 + hidden) ** 0.5))


def written(
    snapshot: LstmSnapshot,
    seeds: Sequence[int] = (7,),
    *,
    length: int = LENGTH,
    most: int = 1000,
    **settings: object,
) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Returns ids and probabilities of the texts, each [N, S]."""
    defaults = {"sampling": SamplingConfig(), "prompt": "the "}
    sampler = Sampler(snapshot, VOCABULARY, seeds=seeds, **defaults | settings)  # type: ignore[arg-type]
    parts = []
    with closing(sampler):
        count = 0
        while count < length:
            ids, probabilities = sampler.write(min(most, length - count))
            assert len(ids) == len(probabilities) > 0
            parts.append((ids, probabilities))
            count += len(ids)
    all_ids, all_probabilities = zip(*parts, strict=True)
    return np.concatenate(all_ids), np.concatenate(all_probabilities)


def by_a_stream(
    snapshot: LstmSnapshot, seed: int, length: int, **settings: object
) -> tuple[list[int], list[float]]:
    defaults = {"sampling": SamplingConfig(), "prompt": "the "}
    stream = CharacterStream(snapshot, VOCABULARY, seed=seed, **defaults | settings)  # type: ignore[arg-type]
    steps = [stream.step() for _ in range(length)]
    ids = [VOCABULARY.id_of(step.character) for step in steps]
    return ids, [step.probability for step in steps]


@pytest.mark.parametrize("hidden", [1, 12, 70])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("embedding", [0, 4])
@pytest.mark.parametrize("numpy_characters", [0, BLOCK])
def test_it_writes_the_text_of_a_stream(
    hidden: int, layers: int, embedding: int, numpy_characters: int
) -> None:
    snapshot = make_snapshot(hidden, layers, embedding)
    ids, own = written(snapshot, numpy_characters=numpy_characters)
    expected_ids, expected_own = by_a_stream(snapshot, 7, LENGTH)
    assert ids[:, 0].tolist() == expected_ids
    assert own[:, 0] == pytest.approx(expected_own, abs=1e-5)


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("numpy_characters", [0, 50])
def test_every_rule_draws_the_same_in_numpy_and_compiled(
    sampling: SamplingConfig, window: int | None, numpy_characters: int
) -> None:
    snapshot, seeds = make_snapshot(layers=2), [3, 4, 99, 2**62]
    ids, own = written(
        snapshot,
        seeds,
        length=400,
        sampling=sampling,
        window=window,
        numpy_characters=numpy_characters,
    )
    for place, seed in enumerate(seeds):
        expected_ids, expected_own = by_a_stream(
            snapshot, seed, 400, sampling=sampling, window=window
        )
        assert ids[:, place].tolist() == expected_ids
        assert own[:, place] == pytest.approx(expected_own, abs=1e-5)


@given(
    st.integers(1, 2 * BLOCK),
    st.sampled_from([0, BLOCK, 2 * BLOCK]),
    st.lists(st.integers(0, 40), min_size=1, max_size=20, unique=True),
)
@settings(deadline=None, max_examples=10)
def test_neither_neighbours_nor_portions_change_a_bit(
    most: int, numpy_characters: int, seeds: list[int]
) -> None:
    snapshot = make_snapshot(hidden=33)
    ids, own = written(snapshot, seeds, most=most, numpy_characters=numpy_characters)
    expected_ids, expected_own = written(snapshot, seeds[-1:], numpy_characters=numpy_characters)
    assert np.array_equal(ids[:, -1:], expected_ids)
    assert np.array_equal(own[:, -1:], expected_own)


@pytest.mark.parametrize("hidden", [8, 130, 512])
@pytest.mark.parametrize("window", [None, 3])
def test_numpys_bits_are_the_same_beside_any_others(hidden: int, window: int | None) -> None:
    """Each column of a product of eight is rounded alike, whatever stands in the others."""
    snapshot = make_snapshot(hidden)
    count = 2 * COLUMNS + 3
    _, together = written(snapshot, range(count), length=30, window=window)
    for seed in range(count):
        _, alone = written(snapshot, [seed], length=30, window=window)
        assert np.array_equal(alone[:, 0], together[:, seed])


@pytest.mark.parametrize("numpy_characters", [0, BLOCK])
def test_each_character_is_drawn_with_the_noise_of_its_own_place(numpy_characters: int) -> None:
    logits = np.linspace(-1, 1, len(VOCABULARY))
    ids, _ = written(constant_snapshot(logits), numpy_characters=numpy_characters)
    assert_drawn(ids[:, 0].tolist(), logits, seed=7)


@pytest.mark.parametrize("sampling", [SamplingConfig(), SamplingConfig(top_k=4, typical=0.9)])
def test_weights_that_overflowed_still_write_something(sampling: SamplingConfig) -> None:
    weights = make_network(ModelConfig(hidden=12), len(VOCABULARY)).state_dict()
    arrays = {name: np.full_like(value.numpy(), np.nan) for name, value in weights.items()}
    snapshot = LstmSnapshot.from_weights(arrays, step=0)
    ids, own = written(snapshot, length=10, numpy_characters=0, sampling=sampling)
    assert ((ids >= 0) & (ids < len(VOCABULARY))).all()
    assert np.isnan(own).all()


def test_the_first_thousand_characters_need_no_numba() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]);"
        "from model_fixtures import make_checkpoint; from model.config import SamplingConfig;"
        "from model.sampling.sampler import NUMPY_CHARACTERS as COUNT, Sampler;"
        "import tui.cli.commands.generate;"
        "checkpoint = make_checkpoint();"
        "text = Sampler(checkpoint.snapshot(), checkpoint.metadata.vocabulary,"
        " sampling=SamplingConfig(), seeds=[1]); count = 0\n"
        "while count < COUNT: count += len(text.write(COUNT)[0])\n"
        "print('numba' in sys.modules); text.write(1); print('numba' in sys.modules); text.close()"
    )
    support = str(Path(__file__).parents[2] / "support")
    told = subprocess.run(
        [sys.executable, "-c", code, support], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "True"]


def test_a_text_with_a_window_stays_with_numpy() -> None:
    sampler = Sampler(
        make_snapshot(),
        VOCABULARY,
        sampling=SamplingConfig(),
        seeds=range(9),
        window=4,
        numpy_characters=0,
    )
    with closing(sampler):
        assert len(sampler) == 9
        assert sampler.write(5)[0].shape == (5, 9)
        assert sampler._decoder is None


def test_texts_change_over_at_the_same_character() -> None:
    snapshot = make_snapshot()
    sampler = Sampler(snapshot, VOCABULARY, sampling=SamplingConfig(), seeds=range(10))
    with closing(sampler):
        count = 0
        while sampler._decoder is None:
            assert count <= NUMPY_CHARACTERS
            count += len(sampler.write(NUMPY_CHARACTERS)[0])
        assert count == NUMPY_CHARACTERS + BLOCK


@pytest.mark.parametrize(
    ("units", "counts"), [(512, [1, 2, 4, 8, 16]), (33, [1]), (64, [1, 2]), (191, [1, 2, 4])]
)
def test_threads_have_a_least_number_of_units(units: int, counts: list[int]) -> None:
    assert thread_counts(units, 32, cores=31) == counts


@given(
    rows=st.integers(1, 300),
    inner=st.integers(1, 40),
    streams=st.integers(1, 40),
    small=st.sampled_from([1, 1_000, 20_000, 1_000_000]),
)
def test_a_product_in_pieces_is_the_product(
    rows: int, inner: int, streams: int, small: int
) -> None:
    random = np.random.default_rng(0)
    matrix = random.standard_normal((rows, inner), np.float32)
    columns = random.standard_normal((inner, streams), np.float32)
    out = np.full((rows, streams), np.nan, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_lstm, "MAX_UNPACKED_PRODUCT", small)
        batch_matmul(matrix, columns, out)
    np.testing.assert_allclose(out, matrix @ columns, rtol=1e-4, atol=1e-4)
