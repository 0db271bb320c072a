"""The recipes, the classic one to the letter."""

from __future__ import annotations

import pytest

from model.errors import ConfigError
from model.presets import BY_MINUTES, DEFAULT_PRESET, PRESETS, find_preset, preset_for


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
    assert DEFAULT_PRESET in PRESETS


def test_an_unknown_preset_names_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError) as caught:
        find_preset("notbook")
    assert str(caught.value).startswith(
        "--preset: no preset is called 'notbook'; did you mean 'notebook'? There are: "
    )
    assert all(name in caught.value.remedy for name in PRESETS)
    with pytest.raises(ConfigError, match="; there are: "):
        find_preset("")


def test_more_time_asks_for_a_larger_network() -> None:
    assert preset_for(None) is preset_for(1.0) is PRESETS[DEFAULT_PRESET]
    assert preset_for(0.02) is PRESETS["quick"]
    chosen = [preset_for(least) for least, _ in BY_MINUTES]
    assert [preset.name for preset in chosen] == [name for _, name in BY_MINUTES]
    sizes = [preset.model.hidden for preset in chosen]
    assert sizes == sorted(set(sizes))
    assert preset_for(600.0) is chosen[-1]
    assert preset_for(-1.0) is PRESETS[DEFAULT_PRESET], "the range is checked elsewhere"
