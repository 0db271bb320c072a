"""Chooses NumPy's steppers by the kind of weights; a further network is a row of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from model.network.conv_form import ConvSnapshot
from model.network.gru_form import GruSnapshot
from model.network.snapshot import LstmSnapshot, WeightSnapshot
from model.steppers.numpy_conv import ConvStepper
from model.steppers.numpy_gru import GruBatchStepper, GruStepper
from model.steppers.numpy_lstm import LstmBatchStepper, LstmStepper
from model.steppers.stepper import CarryingBatchStepper, MakeStepper, Stepper

STEPPERS: Final[
    Mapping[
        type[WeightSnapshot],
        tuple[MakeStepper, Callable[[WeightSnapshot, int], CarryingBatchStepper]],
    ]
] = {
    LstmSnapshot: (LstmStepper, LstmBatchStepper),
    GruSnapshot: (GruStepper, GruBatchStepper),
    ConvSnapshot: (ConvStepper, ConvStepper),
}
"""What makes the stepper of one stream and that of many, for each kind of weights."""


def network_stepper(snapshot: WeightSnapshot) -> Stepper:
    """Returns NumPy's stepper of one stream for the weights of one network."""
    return STEPPERS[type(snapshot)][0](snapshot)


def network_batch_stepper(snapshot: WeightSnapshot, streams: int) -> CarryingBatchStepper:
    """Returns NumPy's stepper of many streams for the weights of one network."""
    return STEPPERS[type(snapshot)][1](snapshot, streams)
