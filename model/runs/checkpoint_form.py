"""What a checkpoint holds, as the settings of its run imply it: names, types, shapes, ranges.

Writing, reading and refusing damaged or forged checkpoints all use this description. PyTorch's
optimisers and kernels work on raw memory, so they receive only tensors that match it. No file, no
torch.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from corpus.files.json_values import odd, real, record, truth, whole
from model.compute.engine import LayerKind
from model.config import ModelConfig, TrainingConfig
from model.network import parameters
from model.runs.guard_state import GuardState

WEIGHT_PREFIX = "weights."
AVERAGE_PREFIX = "average."
OPTIMISER_PREFIX = "optimiser."
STATE_PREFIX = "state."
TEACHER_PREFIX = "teacher."
CPU_RANDOM, CARD_RANDOM = "random.torch", "random.cuda"

SLOTS = {"adamw": ("step", "exp_avg", "exp_avg_sq"), "rmsprop": ("step", "square_avg")}
"""The state of PyTorch's optimisers for each weight. Only ``exp_avg`` can be negative."""

Tensors = Mapping[str, npt.NDArray[Any]]

MAX_THREADS = 1024
MAX_PROCESSES = 65_536

# --- the state of PyTorch's Mersenne Twister (ATen/CPUGeneratorImpl.cpp) --------------------------

CPU_RANDOM_BYTES, CARD_RANDOM_BYTES = 5056, 16
_WORDS = 624
_LEFT, _SEEDED, _NEXT = slice(8, 12), slice(12, 16), slice(16, 24)
_FLAGS = (slice(5040, 5044), slice(5052, 5053))
"""Whether the generator has cached a normal number: an int, and a C++ bool."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A tensor as a file's header lists it."""

    type: str
    """NumPy's name of the type."""
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * np.dtype(self.type).itemsize

    def __str__(self) -> str:
        return f"{self.type}{list(self.shape)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tensors of which a checkpoint holds all or none."""

    tensors: Mapping[str, Listed]
    required: bool = False
    least: Mapping[str, float] = field(default_factory=dict)
    """Smallest allowed number, by the name of the tensor; no entry means no limit."""


class CheckpointForm:
    """The tensors that a checkpoint must hold, derived from its settings."""

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        vocabulary_size: int,
        *,
        average_leads: bool = False,
        is_student: bool = False,
        resumable: bool = True,
    ) -> None:
        """Stores the settings; the tensors are derived when they are needed.

        Args:
            model: the shape of the network.
            training: how it is trained.
            vocabulary_size: V.
            average_leads: whether the averaged weights are the best ones.
            is_student: whether the network learns from another one's predictions.
            resumable: whether training can be resumed; otherwise it holds weights alone.
        """
        self._model = model
        self._training = training
        self._weights = parameters.parameter_shapes(model, vocabulary_size)
        self._average_leads = average_leads
        self._is_student = is_student
        self._resumable = resumable

    def require(self, listing: Mapping[str, Listed]) -> None:
        """Compares names, types and shapes.

        Raises:
            ValueError: a tensor is missing, unexpected, or of another type or shape.
        """
        groups = self._groups(listing)
        expected = {name for group in groups for name in group.tensors}
        if extra := sorted(set(listing) - expected):
            raise ValueError(f"has extra tensors: {_some(extra)}")
        for group in groups:
            missing = sorted(set(group.tensors) - set(listing))
            if missing and (group.required or len(missing) < len(group.tensors)):
                raise ValueError(f"has missing tensors: {_some(missing)}")
            for name in group.tensors if not missing else ():
                if listing[name] != group.tensors[name]:
                    raise ValueError(f"{name} is {listing[name]}, not {group.tensors[name]}")

    def require_values(self, tensors: Tensors) -> None:
        """Checks every number. Names, types and shapes must be right already.

        Raises:
            ValueError: a number is not finite, or out of its range.
        """
        groups = self._groups(listing_of(tensors))
        least = {name: low for group in groups for name, low in group.least.items()}
        for name, tensor in tensors.items():
            if tensor.dtype != np.float32:
                continue
            if not np.isfinite(tensor).all():
                raise ValueError(f"{name} is not finite")
            if name in least and (tensor < least[name]).any():
                raise ValueError(f"{name} holds a number below {least[name]:g}")
        if CPU_RANDOM in tensors:
            _require_random(tensors[CPU_RANDOM])
        if CARD_RANDOM in tensors and int(tensors[CARD_RANDOM][8:].view(np.int64)[0]) % 4:
            raise ValueError(f"{CARD_RANDOM} is no state of a generator")

    def size(self) -> int:
        """Returns the approximate size in bytes of all weights and moments."""
        groups = [self._weight_group(WEIGHT_PREFIX), self._optimiser()]
        if self._training.averaging:
            groups.append(self._weight_group(AVERAGE_PREFIX))
        if self._training.teacher_share:
            groups.append(self._weight_group(TEACHER_PREFIX))
        return sum(one.size for group in groups for one in group.tensors.values())

    def _groups(self, listing: Mapping[str, Listed]) -> list[Group]:
        groups = [self._weight_group(WEIGHT_PREFIX, required=True)]
        if self._training.averaging > 0:
            groups.append(self._weight_group(AVERAGE_PREFIX, required=self._average_leads))
        if self._resumable:
            groups += [
                self._optimiser(),
                Group(tensors={CPU_RANDOM: Listed("uint8", (CPU_RANDOM_BYTES,))}, required=True),
                Group(tensors={CARD_RANDOM: Listed("uint8", (CARD_RANDOM_BYTES,))}),
            ]
            if self._is_student:
                groups.append(self._weight_group(TEACHER_PREFIX, required=True))
            if self._training.scoring == "every":
                groups.append(self._carried(listing))
        return groups

    def _weight_group(self, prefix: str, *, required: bool = False) -> Group:
        tensors = {prefix + name: Listed("float32", shape) for name, shape in self._weights.items()}
        return Group(tensors=tensors, required=required)

    def _optimiser(self) -> Group:
        """Returns the optimiser's state, which exists from its first step.

        A count of steps has shape [1] in a file, because NumPy stores a scalar as an array.
        """
        tensors, least = {}, {}
        for name, shape in self._weights.items():
            for slot in SLOTS[self._training.optimiser]:
                full = f"{OPTIMISER_PREFIX}{name}.{slot}"
                tensors[full] = Listed("float32", (1,) if slot == "step" else shape)
                if slot != "exp_avg":
                    least[full] = 0.0
        return Group(tensors=tensors, least=least)

    def _carried(self, listing: Mapping[str, Listed]) -> Group:
        """Returns the recurrent state of the listed streams; a short text has fewer streams."""
        streams = self._training.batch
        named = [one.shape for name, one in listing.items() if name.startswith(STATE_PREFIX)]
        if named and len(named[0]) > 1 and 1 <= named[0][1] <= streams:
            streams = named[0][1]
        shapes = parameters.state_shapes(self._model, streams)
        return Group(
            tensors={
                STATE_PREFIX + name: Listed("float32", shape) for name, shape in shapes.items()
            }
        )


def listing_of(tensors: Tensors) -> dict[str, Listed]:
    """Returns names, types and shapes of tensors in memory, as a file lists them."""
    return {
        name: Listed(str(tensor.dtype), tensor.shape or (1,)) for name, tensor in tensors.items()
    }


def checkpoint_size(model: ModelConfig, training: TrainingConfig, vocabulary_size: int) -> int:
    """Returns the approximate size of a checkpoint in bytes."""
    return CheckpointForm(model, training, vocabulary_size).size()


def _require_random(state: npt.NDArray[np.uint8]) -> None:
    """Refuses a state with which the generator would read behind its array of words.

    ``left`` counts the unused words, and ``next`` is the index of the next word. They are 1 and 0
    after seeding. Later, their sum is always the number of words plus one.
    """
    left = int(state[_LEFT].view(np.int32)[0])
    seeded = int(state[_SEEDED].view(np.int32)[0])
    place = int(state[_NEXT].view(np.uint64)[0])
    fits = (left, place) == (1, 0) or (1 <= left <= _WORDS and left + place == _WORDS + 1)
    flags = [int.from_bytes(state[part].tobytes(), "little") for part in _FLAGS]
    if seeded != 1 or not fits or any(flag > 1 for flag in flags):
        raise ValueError(f"{CPU_RANDOM} is no state of a generator")


def _some(names: list[str]) -> str:
    """Lists the first three names, each shortened."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"{name[:60]}" for name in names[:3]) + more


# --- the trainer's counters -----------------------------------------------------------------------

_ADDED = (
    "processes",
    "steps_per_epoch",
    "validation_characters",
    "student_since",
    "teachers_done",
)
"""The fields that versions added, one each. The last one is no longer written: there were to be
several teachers."""
_VERSIONS = (
    ("step", "batches", "learning_rate_scale", "roll_backs"),
    *accumulate(
        ((name,) for name in _ADDED),
        operator.add,
        initial=("step", "batches", "guard", "average_leads", "engine"),
    ),
)
"""The fields of the trainer's counters, for each version of this program."""


def require_progress(
    progress: Mapping[str, Any], *, step: int, epoch: int, resumable: bool
) -> None:
    """Checks the counters from which training is resumed.

    Args:
        progress: the counters.
        step: the step of the checkpoint.
        epoch: the epoch of the checkpoint.
        resumable: whether training can be resumed; otherwise any counter may be missing.

    Raises:
        ValueError: one is missing, of another type, or out of its range.
    """
    known = {name for names in _VERSIONS for name in names}
    if extra := sorted(set(progress) - known):
        raise ValueError(f"progress holds {_some(extra)}")
    if resumable and set(progress) not in [set(names) for names in _VERSIONS]:
        raise ValueError("progress is not whole")
    for name, check in _CHECKS.items():
        if name in progress:
            check(name, progress[name])
    if "roll_backs" in progress:
        GuardState.from_record(progress)
    if progress.get("step", step) != step:
        raise ValueError(odd("progress.step", progress["step"]))
    if "batches" in progress and progress["batches"]["epoch"] != epoch:
        raise ValueError(odd("batches.epoch", progress["batches"]["epoch"]))


def _require_position(name: str, value: object) -> None:
    """Checks a position in a text, without the text."""
    position = record(name, value)
    if set(position) not in ({"epoch", "index"}, {"epoch", "index", "offset", "random"}):
        raise ValueError(f"{name} is not whole")
    whole("batches.epoch", position["epoch"], 1)
    whole("batches.index", position["index"])
    if "random" in position:
        whole("batches.offset", position["offset"])
        _require_numpy_random(record("batches.random", position["random"]))


def _require_numpy_random(state: Mapping[str, Any]) -> None:
    """Checks the state of a PCG64, NumPy's generator."""
    if set(state) != {"bit_generator", "state", "has_uint32", "uinteger"}:
        raise ValueError("batches.random is not whole")
    inner = record("batches.random.state", state["state"])
    if state["bit_generator"] != "PCG64" or set(inner) != {"state", "inc"}:
        raise ValueError("batches.random is no state of a PCG64")
    for name in ("state", "inc"):
        whole(f"batches.random.{name}", inner[name], 0, 2**128 - 1)
    whole("batches.random.has_uint32", state["has_uint32"], 0, 1)
    whole("batches.random.uinteger", state["uinteger"], 0, 2**32 - 1)


def _require_guard(name: str, value: object) -> None:
    state = record(name, value)
    if set(state) != set(GuardState().to_record()):
        raise ValueError(f"{name} is not whole")
    GuardState.from_record(state)


def _require_engine(name: str, value: object) -> None:
    engine = record(name, value)
    if set(engine) != {"precision", "layer", "shards", "threads_of_a_shard"}:
        raise ValueError(f"{name} is not whole")
    if engine["precision"] not in ("fp32", "bf16"):
        raise ValueError(odd("engine.precision", engine["precision"]))
    if engine["layer"] not in get_args(LayerKind):
        raise ValueError(odd("engine.layer", engine["layer"]))
    for count in ("shards", "threads_of_a_shard"):
        whole(f"engine.{count}", engine[count], 1, MAX_THREADS)


def _require_student(name: str, value: object) -> None:
    """Checks the step and the second at which a student began."""
    if value is None:
        return
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(odd(name, value))
    whole(f"{name}[0]", value[0])
    real(f"{name}[1]", value[1], 0, 1e12)


_CHECKS: Mapping[str, Callable[[str, object], object]] = {
    "step": whole,
    "batches": _require_position,
    "guard": _require_guard,
    "average_leads": truth,
    "engine": _require_engine,
    "processes": lambda name, value: whole(name, value, 1, MAX_PROCESSES),
    "steps_per_epoch": whole,
    "student_since": _require_student,
    "teachers_done": lambda name, value: whole(name, value, 0, 1),
    "validation_characters": lambda name, value: value is None or whole(name, value, 1),
}
