"""Settings of a model, its training and its sampling, checked where they enter.

The classes are frozen and torch-free. The command line, the run's folder, the checkpoints and the
workers use them. A value in one of them is valid.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from model.errors import ConfigError

Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Optimiser = Literal["adamw", "rmsprop"]
ScoringMode = Literal["every", "last"]
NetworkKind = str
"""One of the keys of ``NETWORKS``."""

ConfigT = TypeVar("ConfigT", "ModelConfig", "TrainingConfig", "SamplingConfig")

MAX_TEMPERATURE = 5.0
MAX_SEED = 2**63 - 1
MAX_TEMPERATURES = 32


def require_range(
    name: str, value: float, low: float, high: float, *, low_open: bool = False
) -> None:
    """Raises ``ConfigError`` unless ``low <= value <= high`` (``low < value`` if ``low_open``)."""
    fits = (low < value if low_open else low <= value) and value <= high  # a NaN fits nowhere
    if not fits:
        border = "above" if low_open else "from"
        most = f"{int(high):,}" if high >= 1e4 else f"{high:g}"
        raise ConfigError(
            f"--{name.replace('_', '-')}",
            f"{value!r} is out of range",
            f"give a number {border} {low:g} {'up ' if low_open else ''}to {most}",
        )


NORM_EPSILON: Final = 1e-6
"""Is added to a mean of squares before RMSNorm (Zhang & Sennrich 2019) divides by its root."""


@dataclass(frozen=True, slots=True)
class NetworkTraits:
    """How a network compares with the LSTM, which presets and plans are written for."""

    title: str
    """Its short name on the screen."""
    first_products: int
    """Multiplications a character in the first layer, as a multiple of the square of its units."""
    further_products: int
    """Those of each further layer."""
    learning_rate_scale: float
    """Its best learning rate, as a multiple of the LSTM's."""
    steps_scale: float
    """Steps from which a size ends below the smaller ones, as a multiple of the LSTM's."""
    max_learning_rate: float = math.inf
    """The scaled learning rate is at most this."""
    reset_probability: float = 0.05
    """Chance of a stream to begin a step with a zero state, in a plan."""
    dropout_scale: float = 1.0
    """Dropouts of a plan, as a multiple of the LSTM's."""
    decay_growth: float = 1.0
    """How fast a plan's weight decay grows with the passes, as a multiple of the LSTM's."""
    max_decay: float = 1.0
    """Up to which multiple of the LSTM's full weight decay it grows."""
    min_full_decay: float = 0.0
    """The LSTM's full weight decay counts as this if it is less."""
    fitted_steps: float = math.inf
    """Rate and weight decay fit plans of at most this many steps. With more, both are smaller: one
    over their product is how many steps the weights remember, and a thirtieth of all was best.
    """
    passes_growth: float = 0.5
    """The passes after which a text is learned by heart grow with its length to this power."""
    teacher_share: float = 0.0
    """Largest part of a long plan that trains a teacher; see `TrainingConfig.teacher_share`."""

    def learning_rate(self, of_lstm: float) -> float:
        """Returns the learning rate that suits the network where another one suits an LSTM."""
        return min(self.max_learning_rate, self.learning_rate_scale * of_lstm)


NETWORKS: Final[Mapping[NetworkKind, NetworkTraits]] = {
    "lstm": NetworkTraits("LSTM", 4, 8, 1.0, 1.0),
    "rms-lstm": NetworkTraits(
        "RMS-LSTM",
        first_products=4,
        further_products=8,
        learning_rate_scale=3.6,
        steps_scale=1.0,
        max_learning_rate=0.026,
        reset_probability=0.3,
        dropout_scale=0.67,
        decay_growth=1.5,
        max_decay=3.6,
        min_full_decay=0.06,
        fitted_steps=6_600,
        passes_growth=0.25,
        teacher_share=0.35,
    ),
    "gru": NetworkTraits("GRU", 3, 6, 0.5, 1.0),
    # Each of its six blocks has two gates of two characters.
    "conv": NetworkTraits("Conv", 24, 24, 0.7, 0.5),
}


def unit_scale(network: NetworkKind, layers: int = 1) -> float:
    """Returns the units that cost as much a character as one unit of an LSTM with these layers."""
    lstm, other = (
        kind.first_products + (layers - 1) * kind.further_products
        for kind in (NETWORKS["lstm"], NETWORKS[network])
    )
    return math.sqrt(lstm / other)


def units_of_equal_cost(network: NetworkKind, lstm_units: int, layers: int = 1) -> int:
    """Returns the units of each layer of a network that costs as much a character as an LSTM.

    They are a multiple of 8, as vector instructions like it, unless the network is the LSTM.
    """
    scale = unit_scale(network, layers)
    return lstm_units if scale == 1 else max(8, 8 * round(scale * lstm_units / 8))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Shape of the network; what a checkpoint must match."""

    network: NetworkKind = "lstm"
    hidden: int = 256
    """H, units per layer."""
    layers: int = 1
    """L, stacked layers."""
    embedding: int = 32
    """E, width of the character embedding; 0 feeds one-hot vectors."""
    dropout: float = 0.0
    """Chance of dropping an output unit of each layer while training, for a stream and a step."""

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            remedy = f"there are: {', '.join(NETWORKS)}"
            raise ConfigError("--network", f"no network is called {self.network!r:.40}", remedy)
        require_range("hidden", self.hidden, 1, 16384)
        require_range("layers", self.layers, 1, 16)
        require_range("embedding", self.embedding, 0, 4096)
        require_range("dropout", self.dropout, 0, 0.95)

    @property
    def is_normalised(self) -> bool:
        """Whether it is an LSTM with normalised gates."""
        return self.network == "rms-lstm"

    @property
    def title(self) -> str:
        """The network and its size: ``LSTM(384)``, ``2 x LSTM(512)``."""
        layers = "" if self.layers == 1 else f"{self.layers} x "
        return f"{layers}{NETWORKS[self.network].title}({self.hidden})"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How a network is trained."""

    batch: int = 32
    """B, parallel streams of text (or windows) in a step."""
    sequence: int = 64
    """T, characters of each stream in a step, the length of back-propagation through time."""
    scoring: ScoringMode = "every"
    """Which positions count: every one of a carried stream, or the last of a window only."""
    window_stride: int = 3
    """Characters between the starts of two windows (``scoring="last"`` only)."""
    optimiser: Optimiser = "adamw"
    learning_rate: float = 0.005
    """Peak learning rate."""
    constant_learning_rate: bool = False
    """Leave out warm-up and decay."""
    warmup_steps: int = 100
    weight_decay: float = 0.01
    """Decoupled, on matrices only (AdamW)."""
    clip: float = 1.0
    """Largest global gradient norm; 0 turns clipping off."""
    embedding_dropout: float = 0.0
    """Chance of dropping a unit of the embedding, for a stream and a step."""
    weight_dropout: float = 0.0
    """Chance of dropping an entry of the recurrent matrices for a step (DropConnect)."""
    teacher_share: float = 0.0
    """Part of the plan that trains a first network, the teacher. Then a second one of the same
    shape begins, the student, which learns half from the text and half from what the teacher
    predicts ("born again", Furlanello et al. 2018). 0: one network only."""
    averaging: float = 0.998
    """Decay of the averaged weights, which write and are kept once they are better; 0: none."""
    guard: bool = True
    """Go back to the last good weights when the loss explodes."""
    reset_probability: float = 0.05
    """Chance that a stream's carried state is set to zero before a step, so that the model also
    learns to start cold. At 1 % a short training could leave places from which it never recovers
    (docs/recipes.md)."""
    epochs: int | None = 20
    """Planned passes over the training part; None where a time budget is the plan."""
    minutes: float | None = None
    """Planned training time; None where epochs are the plan. Both: whichever ends first."""
    validation_fraction: float = 0.1
    """Part of the text, from its end, that is held out."""
    checkpoint_every: float = 60.0
    """Seconds of training between two checkpoints."""
    seed: int = 0
    device: Device = "auto"
    precision: Precision = "auto"
    threads: int = 0
    """Threads of a CPU step; 0 chooses."""
    sample_temperatures: tuple[float, ...] = (0.2, 0.5, 1.0, 1.2)
    """Temperatures of the samples after each epoch."""
    sample_prompt: int = 60
    """Characters of the seed text of those samples."""
    sample_length: int = 400
    """Characters of each of those samples."""
    fresh_sample_prompts: bool = False
    """Draw another seed text after each epoch; otherwise all epochs of a run share one, so that
    their samples can be compared."""

    @property
    def window(self) -> int | None:
        """Characters of context that a prediction starts cold from; None where state is carried."""
        return self.sequence if self.scoring == "last" else None

    def __post_init__(self) -> None:
        require_range("batch", self.batch, 1, 65536)
        require_range("sequence", self.sequence, 1, 65536)
        require_range("window_stride", self.window_stride, 1, 65536)
        require_range("learning_rate", self.learning_rate, 0, 1e9, low_open=True)
        require_range("warmup_steps", self.warmup_steps, 0, 1e9)
        require_range("weight_decay", self.weight_decay, 0, 100)
        if self.weight_decay > 0 and self.optimiser != "adamw":
            raise ConfigError(
                "--weight-decay",
                f"{self.optimiser} has no decoupled weight decay",
                "leave it out, or choose another preset",
            )
        require_range("clip", self.clip, 0, 1e9)
        require_range("embedding_dropout", self.embedding_dropout, 0, 0.95)
        require_range("weight_dropout", self.weight_dropout, 0, 0.95)
        require_range("teacher_share", self.teacher_share, 0, 0.9)
        require_range("averaging", self.averaging, 0, 0.999999)
        require_range("reset_probability", self.reset_probability, 0, 1)
        if self.epochs is not None:
            require_range("epochs", self.epochs, 1, 1_000_000)
        if self.minutes is not None:
            require_range("minutes", self.minutes, 0, 1_000_000, low_open=True)
        if self.epochs is None and self.minutes is None:
            raise ConfigError("--epochs", "no end of training is planned", "give epochs or minutes")
        require_range("validation_fraction", self.validation_fraction, 0, 0.9)
        require_range("checkpoint_every", self.checkpoint_every, 0, 1e9, low_open=True)
        require_range("seed", self.seed, 0, MAX_SEED)
        require_range("threads", self.threads, 0, 1024)
        require_range("sample_temperatures", len(self.sample_temperatures), 0, MAX_TEMPERATURES)
        for temperature in self.sample_temperatures:
            require_range("sample_temperatures", temperature, 0, MAX_TEMPERATURE)
        require_range("sample_prompt", self.sample_prompt, 0, 1_000_000)
        require_range("sample_length", self.sample_length, 0, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How characters are drawn from the model's distribution."""

    temperature: float = 1.0
    """Divides the logits; 0 takes the most likely character."""
    top_k: int = 0
    """Keep the k most likely characters; 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set of most likely characters that holds this probability (nucleus); 1
    keeps all."""
    min_p: float = 0.0
    """Keep characters at least this fraction as likely as the most likely one; 0 keeps all."""
    typical: float = 1.0
    """Keep the smallest set of characters that holds this probability and whose surprisal is
    closest to the entropy (locally typical sampling); 1 keeps all."""

    @property
    def truncates(self) -> bool:
        """Whether any character is left out."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0 or self.typical < 1

    def __post_init__(self) -> None:
        require_range("temperature", self.temperature, 0, MAX_TEMPERATURE)
        require_range("top_k", self.top_k, 0, 1_000_000)
        require_range("top_p", self.top_p, 0, 1, low_open=True)
        require_range("min_p", self.min_p, 0, 1)
        require_range("typical", self.typical, 0, 1, low_open=True)


LaneKind = str
"""Which model writes a lane of a race: ``live``, the live weights; ``best``, those of the lowest
validation loss; ``epoch``, those after an epoch; a key of ``NGRAM_ORDERS``, or one of ``NETWORKS``,
for the newest run of another network."""
NGRAM_ORDERS: Final[Mapping[LaneKind, int]] = {"order 0": 0, "order 2": 2, "order 5": 5}
"""Number of characters that each n-gram model of a race predicts the next one from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A lane of a race: the model that writes it, and its temperature."""

    model: LaneKind
    temperature: float


def to_record(config: ModelConfig | TrainingConfig | SamplingConfig) -> dict[str, Any]:
    """Returns the settings as plain values for JSON."""
    return dataclasses.asdict(config)


def from_record(kind: type[ConfigT], record: dict[str, Any]) -> ConfigT:
    """Returns the settings that ``to_record`` wrote; fields of a later version are left out.

    Raises:
        ConfigError: a value is out of range.
        TypeError: a value is of another type, or a field is missing that every version wrote.
    """
    values: dict[str, Any] = {}
    known = {name for names in ADDED_LATER if names & set(record) for name in names}
    for name, hint in get_type_hints(kind).items():
        if name in record:
            values[name] = _typed(name, record[name], hint)
        elif name in known or not any(name in names for names in ADDED_LATER):
            raise TypeError(f"{name} is missing")
    return kind(**values)


ADDED_LATER = (
    frozenset({"network", "embedding_dropout", "weight_dropout", "averaging", "guard"}),
    frozenset({"teacher_share"}),
)
"""Fields that records of earlier versions lack, of any of the three classes, version by version.

``network`` is one of ``ModelConfig``, the others are of ``TrainingConfig``. A record holds of each
version either none of them or all of its class.
"""


def _typed(name: str, value: Any, hint: Any) -> Any:
    """Returns a value from JSON as what the field's annotation asks for.

    Raises:
        TypeError: it is something else; a truth value is no number.
    """
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        return tuple(_typed(name, item, get_args(hint)[0]) for item in value)
    kinds = set(get_args(hint) or (hint,))
    if float in kinds:
        kinds.add(int)
    if get_origin(hint) is Literal:
        fits = isinstance(value, str) and value in kinds
    else:
        fits = type(value) in kinds
    if not fits:
        raise TypeError(f"{name} is {value!r:.40}")
    return value
