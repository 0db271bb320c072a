"""The recipes, the classic one to the letter."""

from __future__ import annotations

import pytest

from model.errors import ConfigError
from model.presets import AUTO, PRESETS, find_preset


def test_the_notebook_is_the_classic_recipe() -> None:
    preset = find_preset("notebook")
    model, training = preset.model, preset.training
    assert preset.lowercase
    assert (model.hidden, model.layers, model.embedding, model.dropout) == (128, 1, 0, 0)
    assert (training.sequence, training.window_stride, training.batch) == (60, 3, 128)
    assert training.scoring == "last"
    assert training.window == 60
    assert (training.optimiser, training.learning_rate) == ("rmsprop", 0.01)
    assert training.constant_learning_rate
    assert (training.clip, training.weight_decay, training.reset_probability) == (0, 0, 0)
    assert training.epochs == 59  # range(1, 60)
    assert training.sample_temperatures == (0.2, 0.5, 1.0, 1.2)
    assert (training.sample_prompt, training.sample_length) == (60, 400)
    assert training.fresh_sample_prompts


def test_all_other_presets_carry_the_state() -> None:
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert (preset.training.window is None) == (name != "notebook")
        assert (preset.training.scoring == "every") == (name != "notebook")
    assert AUTO in PRESETS


def test_an_unknown_preset_names_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError) as caught:
        find_preset("notbook")
    assert str(caught.value).startswith(
        "--preset: no preset is called 'notbook'; did you mean 'notebook'? There are: "
    )
    assert all(name in caught.value.remedy for name in PRESETS)
    with pytest.raises(ConfigError, match="; there are: "):
        find_preset("")
