"""Speeds: interpolated between what was measured, kept for this machine, forgotten if wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from model.config import TrainingConfig
from model.plan import machine_speed
from model.plan.machine_speed import (
    FOLDER,
    MachineSpeed,
    forget_wrong_speed,
    remember_speed,
    remembered_speed,
)

SPEED = MachineSpeed({128: 400_000.0, 512: 25_000.0}, doubled_batch=1.25, network="rms-lstm")
TRAINING = TrainingConfig()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path))
    return tmp_path


def test_between_two_sizes_the_rate_is_interpolated() -> None:
    assert SPEED.at(128) == SPEED.at(16) == 400_000
    assert SPEED.at(256) == pytest.approx(100_000)
    assert SPEED.at(512) == 25_000
    assert SPEED.at(1024) == pytest.approx(25_000 / 4)
    assert SPEED.at(512, layers=2) == pytest.approx(25_000 / 3)
    rates = [SPEED.at(hidden) for hidden in range(1, 1500)]
    assert rates == sorted(rates, reverse=True)


def test_it_is_kept_for_this_machine_and_these_settings(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remembered_speed(TRAINING) is None
    remember_speed(SPEED, TRAINING)
    assert remembered_speed(TRAINING) == SPEED
    assert len(list((cache / FOLDER).iterdir())) == 1
    for change in ({"threads": 1}, {"precision": "fp32"}, {"device": "cpu"}):
        assert remembered_speed(dataclasses.replace(TRAINING, **change)) is None
    assert remembered_speed(TRAINING, processes=2) is None
    monkeypatch.setattr(machine_speed, "usable_cores", lambda: 99)
    assert remembered_speed(TRAINING) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "7"]
    + [
        json.dumps({"128": 1e5, "doubled_batch": 1.0, "network": "gru"} | {name: value})
        for name, value in (
            *(("128", 0), ("128", None), ("x", 1)),
            *(("doubled_batch", 0), ("network", "rnn")),
        )
    ]
    + [
        '{"128": 1e999, "doubled_batch": 1, "network": "lstm"}',
        '{"128": 1e5, "doubled_batch": 1}',
        '{"128": 1e5}',
        '{"doubled_batch": 1, "network": "lstm"}',
    ],
)
def test_a_damaged_file_counts_as_none(text: str, cache: Path) -> None:
    remember_speed(SPEED, TRAINING)
    (file,) = (cache / FOLDER).iterdir()
    file.write_text(text)
    assert remembered_speed(TRAINING) is None


def test_a_very_different_training_makes_it_forgotten() -> None:
    remember_speed(SPEED, TRAINING)
    assert not forget_wrong_speed(100.0, 110.0, TRAINING)
    assert not forget_wrong_speed(100.0, 0.0, TRAINING)
    assert remembered_speed(TRAINING) == SPEED
    for actual in (40.0, 76.0, 131.0):
        remember_speed(SPEED, TRAINING)
        remember_speed(SPEED, TRAINING, network="lstm")
        assert forget_wrong_speed(100.0, actual, TRAINING)
        assert remembered_speed(TRAINING) is remembered_speed(TRAINING, network="lstm") is None


def test_a_cache_that_cannot_be_written_is_no_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / FOLDER).write_text("not a folder")
    monkeypatch.setattr(machine_speed, "cache_folders", lambda **_: iter([cache]))
    remember_speed(SPEED, TRAINING)
    assert remembered_speed(TRAINING) is None
