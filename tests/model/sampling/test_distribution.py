"""Temperature, truncation and draws."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from model_fixtures import constant_snapshot

from corpus import Vocabulary
from model.config import SamplingConfig
from model.sampling.distribution import adjusted, choose, entropy, softmax
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
# At and near 1, the farthest character is in the set by rounding alone, or is not.
typical_masses = st.floats(0.01, 0.999)


def tempered(logits: Floats, temperature: float) -> Floats:
    """The definition, written out."""
    weights = np.array([np.exp(float(x) / temperature) for x in logits - logits.max()])
    normalised: Floats = weights / weights.sum()
    return normalised


def expected_distribution(sampling: SamplingConfig) -> Floats:
    """The rules by their definitions, one symbol at a time."""
    probabilities = tempered(LOGITS, sampling.temperature)
    if sampling.typical < 1:
        typical = np.zeros_like(probabilities)
        kept_ids = list(typical_by_definition(list(map(float, probabilities)), sampling.typical))
        typical[kept_ids] = probabilities[kept_ids]
        renormalised: Floats = typical / typical.sum()
        return renormalised
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


def distances_by_definition(probabilities: list[float]) -> list[float]:
    """How far each surprisal is from the entropy; infinite for what is impossible."""
    average = math.fsum(-p * math.log(p) for p in probabilities if p > 0)
    return [abs(-math.log(p) - average) if p > 0 else math.inf for p in probabilities]


def typical_by_definition(probabilities: list[float], mass: float) -> set[int]:
    """Takes the closest character, then the next, until the set holds the mass."""
    distances = distances_by_definition(probabilities)
    kept: set[int] = set()
    while math.fsum(probabilities[i] for i in kept) < mass and len(kept) < len(probabilities):
        left = [i for i in range(len(probabilities)) if i not in kept]
        kept.add(min(left, key=lambda i: (distances[i], i)))
    return kept


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
    "rule",
    [{}, {"top_k": 3}, {"top_p": 0.7}, {"min_p": 0.3}, {"typical": 0.6}],
    ids=["plain", "k", "p", "min", "typical"],
)
def test_samples_follow_the_intended_distribution(
    temperature: float, rule: dict[str, float]
) -> None:
    sampling = dataclasses.replace(SamplingConfig(temperature=temperature), **rule)  # type: ignore[arg-type]
    expected = expected_distribution(sampling)
    counts = counts_of(sampling)
    assert chi_square(counts, expected) < chi_square_limit(expected)
    for wrong in (temperature * 0.6, temperature * 1.6):
        other = expected_distribution(dataclasses.replace(sampling, temperature=wrong))
        assert chi_square(counts, other) > chi_square_limit(other), "the test can tell them apart"


def test_each_rule_of_the_table_above_leaves_something_out() -> None:
    rules = [
        SamplingConfig(top_k=3),
        SamplingConfig(top_p=0.7),
        SamplingConfig(min_p=0.3),
        SamplingConfig(typical=0.6),
    ]
    for sampling in rules:
        assert 1 < (expected_distribution(sampling) > 0).sum() < len(LOGITS)


@given(logits=logits_arrays)
def test_temperature_zero_takes_the_first_of_the_most_likely(logits: Floats) -> None:
    rules = {"top_k": 2, "top_p": 0.5, "min_p": 0.5, "typical": 0.5}
    probabilities = adjusted(logits, dataclasses.replace(SamplingConfig(temperature=0), **rules))  # type: ignore[arg-type]
    assert probabilities[int(logits.argmax())] == 1
    assert probabilities.sum() == 1


@given(logits=logits_arrays, sampling=samplings)
def test_it_sums_to_one_and_keeps_the_most_likely(logits: Floats, sampling: SamplingConfig) -> None:
    probabilities = adjusted(logits, sampling)
    assert (probabilities >= 0).all()
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities[int(logits.argmax())] == probabilities.max() > 0


@given(logits=logits_arrays, temperature=st.floats(0.5, 5), count=st.integers(1, 45))
def test_top_k_keeps_the_k_most_likely(logits: Floats, temperature: float, count: int) -> None:
    kept = adjusted(logits, SamplingConfig(temperature=temperature, top_k=count)) > 0
    assert kept.sum() == min(count, len(logits))
    full = tempered(logits, temperature)
    if not kept.all():
        assert full[kept].min() >= full[~kept].max() - 1e-12


@given(logits=logits_arrays, temperature=st.floats(0.5, 5), mass=st.floats(0.01, 0.999))
def test_top_p_keeps_the_smallest_set_that_holds_the_mass(
    logits: Floats, temperature: float, mass: float
) -> None:
    full = tempered(logits, temperature)
    kept = adjusted(logits, SamplingConfig(temperature=temperature, top_p=mass)) > 0
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
    kept = adjusted(logits, SamplingConfig(temperature=temperature, min_p=fraction)) > 0
    assert kept[ratio > fraction * (1 + 1e-9)].all()
    assert not kept[ratio < fraction * (1 - 1e-9)].any()


@given(logits=logits_arrays, temperature=st.floats(0.5, 5), mass=typical_masses)
def test_typical_keeps_the_smallest_set_near_the_entropy(
    logits: Floats, temperature: float, mass: float
) -> None:
    full = tempered(logits, temperature)
    distances = np.array(distances_by_definition(full.tolist()))
    kept = adjusted(logits, SamplingConfig(temperature=temperature, typical=mass)) > 0
    assert full[kept].sum() >= mass - 1e-9
    if not kept.all():
        assert distances[kept].max() <= distances[~kept].min() + 1e-9
    farthest = distances[kept].max()
    last = full[kept & (distances >= farthest - 1e-9)].max()
    assert full[kept].sum() - last < mass + 1e-9


@given(logits=logits_arrays, temperature=st.floats(0.5, 5), mass=typical_masses)
def test_typical_keeps_what_the_definition_keeps(
    logits: Floats, temperature: float, mass: float
) -> None:
    full = tempered(logits, temperature).tolist()
    distances = sorted(distances_by_definition(full))
    gaps = np.diff(distances)
    assume(not ((gaps > 0) & (gaps < 1e-9)).any())  # where rounding decides who is closer
    order = sorted(range(len(full)), key=lambda i: distances_by_definition(full)[i])
    assume(np.abs(np.cumsum([full[i] for i in order]) - mass).min() > 1e-9)
    kept = adjusted(logits, SamplingConfig(temperature=temperature, typical=mass)) > 0
    assert set(np.flatnonzero(kept)) == typical_by_definition(full, mass)


@given(
    logits=logits_arrays,
    mass=st.floats(1e-9, 0.999),
    count=st.integers(0, 5),
    top_p=st.sampled_from([0.5, 1.0]),
)
def test_typical_looks_at_what_the_rules_before_it_left(
    logits: Floats, mass: float, count: int, top_p: float
) -> None:
    before = adjusted(logits, SamplingConfig(top_k=count, top_p=top_p))
    both = adjusted(logits, SamplingConfig(top_k=count, top_p=top_p, typical=mass))
    with np.errstate(divide="ignore"):
        alone = adjusted(np.log(before), SamplingConfig(typical=mass))
    assert both.sum() == pytest.approx(1)
    assert not (before == 0)[both > 0].any()
    assert (both > 0).sum() == (alone > 0).sum()


@pytest.mark.filterwarnings("error")
def test_typical_at_its_edges() -> None:
    small = SamplingConfig(typical=1e-9)
    assert adjusted(np.array([3.0]), small) == [1], "one symbol"
    uniform = adjusted(np.zeros(8), SamplingConfig(typical=0.5))
    assert uniform.tolist() == [0.25] * 4 + [0] * 4, "of equals the first, as many as are needed"
    assert np.array_equal(adjusted(LOGITS, SamplingConfig(typical=1)), softmax(LOGITS)), "off"
    nearly_all = adjusted(LOGITS, SamplingConfig(typical=1 - 1e-16))
    assert np.array_equal(nearly_all > 0, np.ones(8, bool)), "all that is possible"
    impossible = np.array([0.0, -np.inf, 0.0, -2000.0])
    assert adjusted(impossible, SamplingConfig(typical=0.999)).tolist() == [0.5, 0, 0.5, 0]
    assert adjusted(np.full(3, np.nan), small).tolist() == [1, 0, 0], "a network that went wrong"


def test_typical_can_leave_the_most_likely_character_out() -> None:
    probabilities = np.array([0.4, *[0.02] * 30])
    kept = adjusted(np.log(probabilities), SamplingConfig(typical=0.3)) > 0
    assert not kept[0], "0.92 nats, where 2.7 are expected"
    assert kept.sum() == 15


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-30, 5e-324, 1e-3, 5.0])
@pytest.mark.parametrize("size", [1.0, 1e4, 3e38])
def test_extreme_temperatures_and_logits_are_safe(temperature: float, size: float) -> None:
    logits = np.array([0.5, 1.0, -1.0, 0.0], np.float32) * np.float32(size)
    probabilities = adjusted(logits, SamplingConfig(temperature=temperature))
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
        probabilities = adjusted(logits, SamplingConfig(temperature=temperature, top_k=2))
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
        typical=st.sampled_from([0.2, 0.7, 1.0]),
    ),
    seed=st.integers(0, 2**64 - 1),
)
def test_what_was_left_out_is_never_chosen(
    logits: list[float], sampling: SamplingConfig, seed: int
) -> None:
    values = np.array(logits, np.float32)
    noise = GumbelNoise(seed, len(logits))
    probabilities = adjusted(values, sampling)
    for index in range(5):
        assert probabilities[choose(values, sampling, noise.row(index))] > 0


@given(seed=st.integers(0, 2**32), rules=st.integers(0, 4))
def test_many_streams_are_shaped_as_each_alone(seed: int, rules: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (5, 9)).astype(np.float32)
    sampling = SamplingConfig(
        temperature=0.7,
        top_k=4 if rules else 0,
        top_p=0.8 if rules > 1 else 1.0,
        min_p=0.2 if rules > 2 else 0.0,
        typical=0.6 if rules == 4 else 1.0,
    )
    together = adjusted(logits, sampling)
    noise = np.stack([GumbelNoise(seed, 9).row(index) for index in range(5)])
    chosen = choose(logits, sampling, noise)
    for row in range(5):
        assert together[row] == pytest.approx(adjusted(logits[row], sampling))
        assert chosen[row] == choose(logits[row], sampling, noise[row])


def test_softmax_is_safe_against_large_logits() -> None:
    assert softmax(np.array([1e30, 1e30, -1e30])) == pytest.approx([0.5, 0.5, 0])


def test_entropy_is_shannons() -> None:
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(np.log(8))
    assert str(entropy(np.array([0.0, 1.0, 0.0]))) == "0.0", "the screen would show -0.00 bits"
    assert entropy(np.array([0.0, 1.0])) == 0
