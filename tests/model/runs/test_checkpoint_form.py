"""What a checkpoint may hold: a state of PyTorch's generator that looks like one is refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from model_fixtures import TINY_MODEL, TINY_TRAINING

from model.runs.checkpoint_form import CPU_RANDOM, CheckpointForm

FORM = CheckpointForm(TINY_MODEL, TINY_TRAINING, 5)


def state_after(draws: int, *, normal: bool = False) -> npt.NDArray[np.uint8]:
    generator = torch.Generator().manual_seed(3)
    if draws:
        torch.randint(2**31, (draws,), generator=generator)
    if normal:
        torch.randn(1, generator=generator)
    return generator.get_state().numpy().copy()


@pytest.mark.parametrize("normal", [False, True])
@pytest.mark.parametrize("draws", [0, 1, 2, 623, 624, 625, 1248])
def test_a_generators_own_states_are_taken(draws: int, normal: bool) -> None:
    FORM.require_values({CPU_RANDOM: state_after(draws, normal=normal)})


@pytest.mark.parametrize(
    ("place", "kind", "value"),
    [
        (8, np.int32, 0),
        (8, np.int32, -1),
        (8, np.int32, 2**31 - 1),
        (8, np.int32, 625),
        (12, np.int32, 0),
        (12, np.int32, 2),
        (16, np.uint64, 625),
        (16, np.uint64, 2**63),
        (5040, np.int32, 2),
        (5052, np.uint8, 2),
    ],
)
def test_a_state_that_would_read_behind_its_words_is_refused(
    place: int, kind: type[np.integer], value: int
) -> None:
    state = state_after(5)
    number = np.array([value], kind).view(np.uint8)
    state[place : place + len(number)] = number
    with pytest.raises(ValueError, match="no state of a generator"):
        FORM.require_values({CPU_RANDOM: state})
