"""A long text: the same as a slow stream's, whatever its length and number of threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import VOCABULARY, constant_snapshot
from network_fixtures import make_network, snapshot_of
from noise_by_definition import assert_drawn

from model.config import ModelConfig, SamplingConfig
from model.kernels.splitmix import BLOCK
from model.kernels.threads import thread_counts
from model.network.snapshot import LstmSnapshot
from model.sampling.long_text import LongText
from model.sampling.stream import CharacterStream

LENGTH = 3 * BLOCK


def make_snapshot(hidden: int = 12, layers: int = 1, embedding: int = 0) -> LstmSnapshot:
    config = ModelConfig(hidden=hidden, layers=layers, embedding=embedding)
    # With larger weights a wide network is chaotic: it makes much of the last digit.
    return snapshot_of(make_network(config, len(VOCABULARY), scale=2 / (4 + hidden) ** 0.5))


def make_stream(snapshot: LstmSnapshot, **settings: object) -> CharacterStream:
    defaults = {"sampling": SamplingConfig(), "seed": 7, "prompt": "the "}
    return CharacterStream(snapshot, VOCABULARY, **defaults | settings)  # type: ignore[arg-type]


def written(text: LongText, length: int, most: int = 1000) -> tuple[list[int], list[float]]:
    ids: list[int] = []
    own: list[float] = []
    with text:
        while len(ids) < length:
            some, theirs = text.write(min(most, length - len(ids)))
            assert len(some) == len(theirs) > 0
            ids += some.tolist()
            own += theirs.tolist()
    return ids, own


@pytest.mark.parametrize("hidden", [1, 12, 70])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("embedding", [0, 4])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("numpy_characters", [0, BLOCK])
def test_it_is_the_text_of_a_stream(
    hidden: int, layers: int, embedding: int, temperature: float, numpy_characters: int
) -> None:
    snapshot = make_snapshot(hidden, layers, embedding)
    sampling = SamplingConfig(temperature=temperature)
    stream = make_stream(snapshot, sampling=sampling)
    ids, own = written(
        LongText(make_stream(snapshot, sampling=sampling), numpy_characters=numpy_characters),
        LENGTH,
    )
    expected = [stream.write() for _ in range(LENGTH)]
    assert ids == [symbol for symbol, _ in expected]
    assert own == pytest.approx([probability for _, probability in expected], abs=1e-5)


@given(st.integers(1, 2 * BLOCK), st.sampled_from([0, BLOCK, 2 * BLOCK]))
@settings(deadline=None, max_examples=20)
def test_how_much_is_asked_for_at_once_changes_nothing(most: int, numpy_characters: int) -> None:
    snapshot = make_snapshot()
    expected = written(LongText(make_stream(snapshot), numpy_characters=numpy_characters), LENGTH)
    assert (
        written(LongText(make_stream(snapshot), numpy_characters=numpy_characters), LENGTH, most)
        == expected
    )


@pytest.mark.parametrize("numpy_characters", [0, BLOCK])
def test_each_character_is_drawn_with_the_noise_of_its_own_place(numpy_characters: int) -> None:
    logits = np.linspace(-1, 1, len(VOCABULARY))
    text = LongText(make_stream(constant_snapshot(logits)), numpy_characters=numpy_characters)
    ids, _ = written(text, LENGTH)
    assert text._decoder is not None
    assert_drawn(ids, logits, seed=7)


@pytest.mark.parametrize(
    "settings",
    [
        {"sampling": SamplingConfig(top_k=3)},
        {"sampling": SamplingConfig(typical=0.7)},
        {"sampling": SamplingConfig(temperature=1e-5)},
        {"window": 5},
    ],
    ids=["top-k", "typical", "hardly warm", "window"],
)
def test_what_only_a_stream_can_do_is_left_to_it(settings: dict[str, object]) -> None:
    snapshot = make_snapshot()
    text = LongText(make_stream(snapshot, **settings), numpy_characters=0)
    ids, _ = written(text, 300)
    assert text._decoder is None
    stream = make_stream(snapshot, **settings)
    assert ids == [stream.write()[0] for _ in range(300)]


def test_weights_that_overflowed_still_write_something() -> None:
    weights = make_network(ModelConfig(hidden=12), len(VOCABULARY)).state_dict()
    arrays = {name: np.full_like(value.numpy(), np.nan) for name, value in weights.items()}
    snapshot = LstmSnapshot.from_weights(arrays, step=0)
    ids, own = written(LongText(make_stream(snapshot), numpy_characters=0), 10)
    assert all(0 <= symbol < len(VOCABULARY) for symbol in ids)
    assert np.isnan(own).all()


def test_the_first_thousand_characters_need_no_numba() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]);"
        "from model_fixtures import make_checkpoint; from model.config import SamplingConfig;"
        "from model.sampling.long_text import LongText;"
        "from model.sampling.parallel_streams import NUMPY_CHARACTERS as COUNT;"
        "from model.sampling.stream import CharacterStream;"
        "import tui.cli.commands.generate;"
        "checkpoint = make_checkpoint();"
        "stream = CharacterStream(checkpoint.snapshot(), checkpoint.metadata.vocabulary,"
        " sampling=SamplingConfig(), seed=1);"
        "text = LongText(stream); count = 0\n"
        "while count < COUNT: count += len(text.write(COUNT)[0])\n"
        "print('numba' in sys.modules); text.write(1); print('numba' in sys.modules); text.close()"
    )
    support = str(Path(__file__).parents[2] / "support")
    told = subprocess.run(
        [sys.executable, "-c", code, support], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("units", "counts"), [(512, [1, 2, 4, 8, 16]), (33, [1]), (64, [1, 2]), (191, [1, 2, 4])]
)
def test_threads_have_a_least_number_of_units(units: int, counts: list[int]) -> None:
    assert thread_counts(units, 32, cores=31) == counts
