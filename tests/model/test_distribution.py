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
from model.distribution import draw, entropy, shaped, softmax
from model.sampler import CharacterStream

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
        assert draw(probabilities, 0.999) in {0, 1, 2}


@given(
    weights=st.lists(st.one_of(st.just(0.0), st.floats(1e-12, 1)), min_size=1).filter(any),
    uniform=st.floats(0, 1, exclude_max=True),
)
def test_an_impossible_character_is_never_drawn(weights: list[float], uniform: float) -> None:
    probabilities = np.array(weights) / sum(weights)
    assert probabilities[draw(probabilities, uniform)] > 0


def test_draws_lie_where_the_cumulated_probability_passes() -> None:
    probabilities = np.array([0.0, 0.25, 0.0, 0.5, 0.25, 0.0])
    uniforms = [0.0, 0.2, 0.25, 0.7, 0.75, 1 - 2**-53]
    assert [draw(probabilities, uniform) for uniform in uniforms] == [1, 1, 3, 3, 4, 4]


def test_softmax_is_safe_against_large_logits() -> None:
    assert softmax(np.array([1e30, 1e30, -1e30])) == pytest.approx([0.5, 0.5, 0])


def test_entropy_is_shannons() -> None:
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(np.log(8))
    assert entropy(np.array([0.0, 1.0])) == 0
