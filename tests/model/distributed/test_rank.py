"""Which of several processes this one is."""

from __future__ import annotations

import pytest

from model.distributed.rank import ProcessRank, rank_from_environment
from model.errors import ConfigError


def test_without_torchrun_a_process_is_alone() -> None:
    for environment in ({}, {"RANK": "1"}, {"WORLD_SIZE": "4"}):
        assert rank_from_environment(environment) == ProcessRank()


def test_torchrun_says_which_one_of_how_many() -> None:
    environment = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    place = rank_from_environment(environment)
    assert place == ProcessRank(rank=5, size=8, local_rank=1, local_size=4)
    assert not place.leads


def test_without_local_numbers_all_are_on_one_machine() -> None:
    place = rank_from_environment({"RANK": "0", "WORLD_SIZE": "2"})
    assert place == ProcessRank(rank=0, size=2, local_rank=0, local_size=2)
    assert place.leads


@pytest.mark.parametrize(
    "changes",
    [
        {"RANK": "x"},
        {"RANK": "2"},
        {"WORLD_SIZE": "0"},
        {"WORLD_SIZE": "-2"},
        {"LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "2"},
        {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "3"},
    ],
)
def test_numbers_that_contradict_each_other_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="torchrun"):
        rank_from_environment({"RANK": "0", "WORLD_SIZE": "2"} | changes)


@pytest.mark.parametrize("streams", [3, 7, 8, 64])
def test_the_shares_of_all_are_the_whole_and_nearly_equal(streams: int) -> None:
    places = [ProcessRank(rank=rank, size=3) for rank in range(3)]
    shares = [list(range(streams))[place.share(streams)] for place in places]
    assert [stream for share in shares for stream in share] == list(range(streams))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
