"""Which samples of a long training are kept."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from model.events import SampleRecorded
from tui.view.sample_history import Samples, are_thinned, epochs_of, with_sample


def sample(epoch: int, temperature: float = 0.5) -> SampleRecorded:
    return SampleRecorded(
        time=1.0, step=epoch, epoch=epoch, temperature=temperature, seed=0, prompt="a", text="b"
    )


def kept_of(epochs: int, temperatures: int, maximum: int) -> Samples:
    samples: Samples = ()
    for epoch in range(1, epochs + 1):
        for lane in range(temperatures):
            samples = with_sample(samples, sample(epoch, lane / 10), maximum)
    return samples


@given(
    epochs=st.integers(1, 200), temperatures=st.integers(1, 5), maximum=st.integers(min_value=20)
)
def test_the_newest_are_always_kept_and_never_more_than_the_maximum(
    epochs: int, temperatures: int, maximum: int
) -> None:
    samples = kept_of(epochs, temperatures, maximum)
    assert len(samples) <= maximum
    assert [it.temperature for it in samples if it.epoch == epochs] == [
        lane / 10 for lane in range(temperatures)
    ]
    assert epochs_of(samples)[0] == 1
    assert [it.epoch for it in samples] == sorted(it.epoch for it in samples)


def test_nothing_goes_before_there_are_too_many() -> None:
    samples = kept_of(25, 4, 100)
    assert epochs_of(samples) == list(range(1, 26))
    assert not are_thinned(samples)
    assert are_thinned(with_sample(samples, sample(26), 100))


def test_where_words_are_born_stays_whole() -> None:
    epochs = epochs_of(kept_of(400, 4, 100))
    assert epochs[:3] == [1, 2, 3]
    assert epochs[-6:] == list(range(395, 401))
    gaps = [later - earlier for earlier, later in itertools.pairwise(epochs)]
    assert max(gaps) > 1


def test_many_samples_of_one_epoch_are_bounded_too() -> None:
    samples: Samples = ()
    for _ in range(30):
        samples = with_sample(samples, sample(1), 20)
    assert len(samples) == 20
    assert not are_thinned(samples)
    assert not are_thinned(())
