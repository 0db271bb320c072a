"""Temperature, cuts and draws."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from model_fixtures import constant_snapshot

from corpus import Vocabulary
from model.config import SamplingConfig
from model.sampling.distribution import choose, entropy, shaped, softmax
from model.sampling.noise import GumbelNoise
from model.sampling.stream import CharacterStream

Floats = npt.NDArray[np.float64]

LETTERS = Vocabulary.from_symbols("abcdefgh")
PROBABILITIES = np.array([0.3, 0.04, 0.2, 0.14, 0.02, 0.1, 0.12, 0.08])
LOGITS = np.log(PROBABILITIES)
DRAWS = 5000

# Logits are equal or differ by at least 0.001, so that their probabilities differ too.
logits_arrays = numpy_strategies.arrays(
    np.float64, st.integers(1, 40), elements=st.integers(-50_000, 50_000).map(lambda i: i / 1000)
)
samplings = st.builds(
    SamplingConfig,
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 45),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1),
)


def tempered(logits: Floats, temperature: float) -> Floats:
    """The definition, written out."""
    weights = np.array([np.exp(float(x) / temperature) for x in logits - logits.max()])
    normalised: Floats = weights / weights.sum()
    return normalised


def expected_distribution(sampling: SamplingConfig) -> Floats:
    """The cuts by their definitions, one symbol at a time."""
    probabilities = tempered(LOGITS, sampling.temperature)
    ranked = sorted(range(len(probabilities)), key=lambda i: -probabilities[i])
    kept: list[int] = []
    held = 0.0
    for i in ranked:
        if sampling.top_k and len(kept) == sampling.top_k:
            break
        if held >= sampling.top_p:
            break
        if probabilities[i] < sampling.min_p * probabilities.max():
            break
        kept.append(i)
        held += probabilities[i]
    cut = np.zeros_like(probabilities)
    cut[kept] = probabilities[kept]
    normalised: Floats = cut / cut.sum()
    return normalised


def chi_square(counts: Floats, probabilities: Floats) -> float:
    possible = probabilities > 0
    if counts[~possible].any():
        return float("inf")
    expected = probabilities[possible] * counts.sum()
    return float(((counts[possible] - expected) ** 2 / expected).sum())


def chi_square_limit(probabilities: Floats) -> float:
    """The value that chance passes once in 10,000 (Wilson and Hilferty 1931)."""
    degrees = max(1, int((probabilities > 0).sum()) - 1)
    ninth = 2 / (9 * degrees)
    return float(degrees * (1 - ninth + 3.719 * np.sqrt(ninth)) ** 3)


def counts_of(sampling: SamplingConfig) -> Floats:
    stream = CharacterStream(
        constant_snapshot(LOGITS), LETTERS, sampling=sampling, seed=20, candidates=0
    )
    text = "".join(stream.step().character for _ in range(DRAWS))
    return np.array([text.count(letter) for letter in LETTERS.symbols], np.float64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5])
@pytest.mark.parametrize(
    "cut", [{}, {"top_k": 3}, {"top_p": 0.7}, {"min_p": 0.3}], ids=["plain", "k", "p", "min"]
)
def test_samples_follow_the_intended_distribution(
    temperature: float, cut: dict[str, float]
) -> None:
    sampling = dataclasses.replace(SamplingConfig(temperature=temperature), **cut)  # type: ignore[arg-type]
    expected = expected_distribution(sampling)
    counts = counts_of(sampling)
    assert chi_square(counts, expected) < chi_square_limit(expected)
    for wrong in (temperature * 0.6, temperature * 1.6):
        other = expected_distribution(dataclasses.replace(sampling, temperature=wrong))
        assert chi_square(counts, other) > chi_square_limit(other), "the test can tell them apart"


def test_each_cut_of_the_table_above_leaves_something_out() -> None:
    cuts = [SamplingConfig(top_k=3), SamplingConfig(top_p=0.7), SamplingConfig(min_p=0.3)]
    for sampling in cuts:
        assert 1 < (expected_distribution(sampling) > 0).sum() < len(LOGITS)


@given(logits=logits_arrays)
def test_temperature_zero_takes_the_first_of_the_most_likely(logits: Floats) -> None:
    probabilities = shaped(logits, SamplingConfig(temperature=0, top_k=2, top_p=0.5, min_p=0.5))
    assert probabilities[int(logits.argmax())] == 1
    assert probabilities.sum() == 1


@given(logits=logits_arrays, sampling=samplings)
def test_it_sums_to_one_and_keeps_the_most_likely(logits: Floats, sampling: SamplingConfig) -> None:
    probabilities = shaped(logits, sampling)
    assert (probabilities >= 0).all()
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities[int(logits.argmax())] == probabilities.max() > 0


@given(logits=logits_arrays, temperature=st.floats(0.5, 5), count=st.integers(1, 45))
def test_top_k_keeps_the_k_most_likely(logits: Floats, temperature: float, count: int) -> None:
    kept = shaped(logits, SamplingConfig(temperature=temperature, top_k=count)) > 0
    assert kept.sum() == min(count, len(logits))
    full = tempered(logits, temperature)
    if not kept.all():
        assert full[kept].min() >= full[~kept].max() - 1e-12


@given(logits=logits_arrays, temperature=st.floats(0.5, 5), mass=st.floats(0.01, 0.999))
def test_top_p_keeps_the_smallest_set_that_holds_the_mass(
    logits: Floats, temperature: float, mass: float
) -> None:
    full = tempered(logits, temperature)
    kept = shaped(logits, SamplingConfig(temperature=temperature, top_p=mass)) > 0
    assert full[kept].sum() >= mass - 1e-9
    assert full[kept].sum() - full[kept].min() < mass + 1e-9
    if not kept.all():
        assert full[kept].min() >= full[~kept].max() - 1e-12


@given(logits=logits_arrays, temperature=st.floats(0.5, 5), fraction=st.floats(0.001, 1))
def test_min_p_keeps_what_is_likely_enough(
    logits: Floats, temperature: float, fraction: float
) -> None:
    full = tempered(logits, temperature)
    ratio = full / full.max()
    kept = shaped(logits, SamplingConfig(temperature=temperature, min_p=fraction)) > 0
    assert kept[ratio > fraction * (1 + 1e-9)].all()
    assert not kept[ratio < fraction * (1 - 1e-9)].any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-30, 5e-324, 1e-3, 5.0])
@pytest.mark.parametrize("size", [1.0, 1e4, 3e38])
def test_extreme_temperatures_and_logits_are_safe(temperature: float, size: float) -> None:
    logits = np.array([0.5, 1.0, -1.0, 0.0], np.float32) * np.float32(size)
    probabilities = shaped(logits, SamplingConfig(temperature=temperature))
    assert np.isfinite(probabilities).all()
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities.argmax() == 1
    if temperature < 1e-3:
        assert probabilities[1] == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_network_that_went_wrong_still_gives_a_distribution(
    temperature: float, bad: float
) -> None:
    for logits in (np.array([1.0, bad, 2.0]), np.full(3, bad)):
        probabilities = shaped(logits, SamplingConfig(temperature=temperature, top_k=2))
        assert np.isfinite(probabilities).all()
        noise = np.zeros(3, np.float32)
        assert int(choose(logits, SamplingConfig(temperature=temperature), noise)) in {0, 1, 2}


@given(
    logits=st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=12),
    sampling=st.builds(
        SamplingConfig,
        temperature=st.sampled_from([0.0, 1e-30, 0.3, 1.0, 5.0]),
        top_k=st.integers(0, 4),
        top_p=st.sampled_from([0.3, 0.9, 1.0]),
        min_p=st.sampled_from([0.0, 0.4]),
    ),
    seed=st.integers(0, 2**64 - 1),
)
def test_what_was_cut_is_never_chosen(
    logits: list[float], sampling: SamplingConfig, seed: int
) -> None:
    values = np.array(logits, np.float32)
    noise = GumbelNoise(seed, len(logits))
    probabilities = shaped(values, sampling)
    for index in range(5):
        assert probabilities[choose(values, sampling, noise.row(index))] > 0


@given(seed=st.integers(0, 2**32), cuts=st.integers(0, 3))
def test_many_streams_are_shaped_as_each_alone(seed: int, cuts: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (5, 9)).astype(np.float32)
    sampling = SamplingConfig(
        temperature=0.7,
        top_k=4 if cuts else 0,
        top_p=0.8 if cuts > 1 else 1.0,
        min_p=0.2 if cuts == 3 else 0.0,
    )
    together = shaped(logits, sampling)
    noise = np.stack([GumbelNoise(seed, 9).row(index) for index in range(5)])
    chosen = choose(logits, sampling, noise)
    for row in range(5):
        assert together[row] == pytest.approx(shaped(logits[row], sampling))
        assert chosen[row] == choose(logits[row], sampling, noise[row])


def test_softmax_is_safe_against_large_logits() -> None:
    assert softmax(np.array([1e30, 1e30, -1e30])) == pytest.approx([0.5, 0.5, 0])


def test_entropy_is_shannons() -> None:
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(np.log(8))
    assert entropy(np.array([0.0, 1.0])) == 0
