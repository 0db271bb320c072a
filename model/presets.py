"""Presets: named combinations of a model's shape and the settings that train it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from corpus.nearest import nearest
from model.config import NETWORKS, ModelConfig, NetworkKind, TrainingConfig, units_of_equal_cost
from model.errors import ConfigError

AUTO = "auto"
"""Name of the default preset, whose network and settings `model.plan` chooses."""
DEFAULT_MINUTES = 5.0
"""Its training time if the user gives neither minutes nor epochs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A model's shape and its training settings under one name."""

    name: str
    purpose: str
    """What it is for, in at most 52 characters: a row of a menu."""
    model: ModelConfig
    training: TrainingConfig
    lowercase: bool = False
    """Whether the text is converted to lower case by default."""

    def of_network(self, network: NetworkKind) -> Preset:
        """Returns this preset of the LSTM for another network that costs as much a character."""
        hidden = units_of_equal_cost(network, self.model.hidden, self.model.layers)
        rate = NETWORKS[network].learning_rate(self.training.learning_rate)
        return replace(
            self,
            model=replace(self.model, network=network, hidden=hidden),
            training=replace(self.training, learning_rate=float(f"{rate:.3g}")),
        )


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        # What `model.plan` does not choose is as in the other presets.
        Preset(
            name=AUTO,
            purpose="what this machine trains best in the given time",
            model=ModelConfig(),
            training=TrainingConfig(epochs=None, minutes=DEFAULT_MINUTES),
        ),
        Preset(
            name="quick",
            purpose="words within seconds, on any machine: LSTM(128)",
            model=ModelConfig(hidden=128, embedding=32),
            training=TrainingConfig(learning_rate=0.02, epochs=30),
        ),
        Preset(
            name="balanced",
            purpose="readable text in a minute or two: LSTM(256)",
            model=ModelConfig(hidden=256, embedding=32, dropout=0.1),
            training=TrainingConfig(learning_rate=0.012, epochs=20),
        ),
        Preset(
            name="quality",
            purpose="a million characters in five minutes: LSTM(512)",
            model=ModelConfig(hidden=512, embedding=64, dropout=0.3),
            training=TrainingConfig(
                learning_rate=0.004,
                warmup_steps=200,
                weight_decay=0.07,
                embedding_dropout=0.05,
                weight_dropout=0.15,
                epochs=20,
            ),
        ),
        Preset(
            name="thorough",
            purpose="a million characters in a quarter hour: LSTM(640)",
            model=ModelConfig(hidden=640, embedding=64, dropout=0.35),
            training=TrainingConfig(
                learning_rate=0.004,
                warmup_steps=200,
                weight_decay=0.07,
                embedding_dropout=0.05,
                weight_dropout=0.2,
                epochs=30,
            ),
        ),
        Preset(
            name="overnight",
            purpose="the largest for a night on a laptop: 2 x LSTM(512)",
            model=ModelConfig(hidden=512, layers=2, embedding=64, dropout=0.4),
            training=TrainingConfig(
                learning_rate=0.003,
                warmup_steps=400,
                embedding_dropout=0.1,
                weight_dropout=0.25,
                epochs=40,
            ),
        ),
        # This preset reproduces the classic notebook exactly. Each window of 60 characters starts
        # from a zero state, and only the character after it is scored. Keras' RMSprop has rho 0.9
        # and no clipping.
        Preset(
            name="notebook",
            purpose="the classic recipe to the letter: LSTM(128)",
            model=ModelConfig(hidden=128, embedding=0),
            training=TrainingConfig(
                batch=128,
                sequence=60,
                scoring="last",
                window_stride=3,
                optimiser="rmsprop",
                learning_rate=0.01,
                constant_learning_rate=True,
                warmup_steps=0,
                weight_decay=0.0,
                clip=0.0,
                reset_probability=0.0,
                averaging=0.0,
                guard=False,
                epochs=59,
                fresh_sample_prompts=True,
            ),
            lowercase=True,
        ),
    )
}


def find_preset(name: str) -> Preset:
    """Returns the preset called ``name``.

    Raises:
        ConfigError: no preset has this name; the message suggests the closest name.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = nearest(name, PRESETS)
    remedy = f"did you mean {near!r}? There are: " if near else "there are: "
    raise ConfigError("--preset", f"no preset is called {name!r}", remedy + ", ".join(PRESETS))
