"""`charlm-tui evaluate` as scripts rely on it: keys, and which text is scored."""

from __future__ import annotations

import math

import pytest
from command_here import assert_one_line, charlm_here
from trained_home import TEXT, Trained, charlm, objects

from model.ngram.ngram_model import MIXED_SHARE

pytestmark = pytest.mark.terminal

SCORE_KEYS = [
    "run",
    "step",
    "characters",
    "nats_per_character",
    "bits_per_character",
    "windowed_nats_per_character",
    "seconds",
]


def test_evaluate_scores_the_held_out_part_of_the_runs_own_text(trained: Trained) -> None:
    done = charlm(trained.home, "evaluate", "--json")
    assert (done.status, done.complaint) == (0, "")
    (record,) = objects(done.output)
    assert sorted(record) == sorted(SCORE_KEYS)
    best = [event["step"] for event in trained.events if event.get("best")][-1]
    assert (record["run"], record["step"]) == (trained.run.name, best)
    assert record["characters"] == pytest.approx(len(TEXT) / 10, abs=2)
    nats = record["nats_per_character"]
    assert record["bits_per_character"] == pytest.approx(nats / math.log(2))
    # Training scores the same text in other pieces.
    assert nats == pytest.approx(trained.last("finished")["best_nats_per_character"], rel=0.1)
    assert record["windowed_nats_per_character"] >= nats - 0.05


def test_evaluate_scores_another_text(trained: Trained) -> None:
    (trained.home / "other.txt").write_text("zzz the old man. " * 30, encoding="utf-8")
    done = charlm_here(trained.home, "evaluate", "other.txt", "--json")
    assert done.status == 0
    (record,) = objects(done.output)
    assert sorted(record) == sorted(SCORE_KEYS)
    assert record["nats_per_character"] > 0
    assert done.complaint.count("\n") == 1
    assert "90 characters" in done.complaint


def test_evaluate_scores_counts_of_the_training_part_on_the_same_text(trained: Trained) -> None:
    own = charlm_here(trained.home, "evaluate", "--json", "--ngram", "5")
    assert (own.status, own.complaint) == (0, "")
    (record,) = objects(own.output)
    added = ["ngram_order", "ngram_counted_characters"]
    added += ["ngram_nats_per_character", "ngram_bits_per_character"]
    added += ["mixed_nats_per_character", "mixed_bits_per_character"]
    assert sorted(record) == sorted([*SCORE_KEYS, *added])
    assert record["ngram_order"] == 5
    assert record["ngram_counted_characters"] == pytest.approx(len(TEXT) * 0.9, abs=2)
    nats = record["ngram_nats_per_character"]
    assert record["ngram_bits_per_character"] == pytest.approx(nats / math.log(2))
    (fewer,) = objects(charlm_here(trained.home, "evaluate", "--json", "--ngram", "0").output)
    assert fewer["ngram_nats_per_character"] > nats > 0
    (trained.home / "other.txt").write_text("eht dlo nam. " * 30, encoding="utf-8")
    (other,) = objects(
        charlm_here(trained.home, "evaluate", "other.txt", "--json", "--ngram=5").output
    )
    assert other["ngram_counted_characters"] == record["ngram_counted_characters"]
    assert other["ngram_nats_per_character"] > nats + 1
    mixed = record["mixed_nats_per_character"]
    assert record["mixed_bits_per_character"] == pytest.approx(mixed / math.log(2))
    # A mixture loses at most the logarithm of the network's share to the network.
    assert 0 < mixed < record["nats_per_character"] - math.log(1 - MIXED_SHARE)
    sentence = charlm_here(trained.home, "evaluate", "--ngram=5").output
    assert f"{nats:.4f} nats (5-gram); {mixed:.4f} nats (80 % network, 20 % 5-gram); " in sentence


def test_evaluate_refuses_an_order_out_of_range(trained: Trained) -> None:
    assert_one_line(charlm_here(trained.home, "evaluate", "--ngram=9"), 2, "--ngram")


def test_evaluate_takes_a_checkpoint_file_and_prints_a_sentence(trained: Trained) -> None:
    path = next(trained.run.glob("step-*.safetensors"))
    done = charlm_here(trained.home, "evaluate", "--checkpoint", path)
    assert done.status == 0
    assert "nats" in done.output
    assert done.output.count("\n") == 1


def test_evaluate_reports_cold_starts_and_dynamic_evaluation_apart(trained: Trained) -> None:
    plain = objects(charlm_here(trained.home, "evaluate", "--json").output)[0]
    done = charlm_here(trained.home, "evaluate", "--json", "--cold-starts", "--dynamic")
    assert (done.status, done.complaint) == (0, "")
    (record,) = objects(done.output)
    for key in SCORE_KEYS[:-1]:
        assert record[key] == plain[key]
    assert 1 <= record["cold_starts"] <= 1000
    assert record["lost"] == 0
    assert record["cold_excess_nats_per_character"] <= record["worst_excess_nats_per_character"]
    assert record["dynamic_nats_per_character"] < record["nats_per_character"]
    sentence = charlm_here(trained.home, "evaluate", "--dynamic", "--cold-starts", "7").output
    assert "lost at 0 of 7 cold starts" in sentence
    assert "(dynamic evaluation)" in sentence


@pytest.mark.parametrize("number", ["0", "many"])
def test_evaluate_refuses_an_invalid_number_of_cold_starts(trained: Trained, number: str) -> None:
    assert_one_line(
        charlm_here(trained.home, "evaluate", f"--cold-starts={number}"), 2, "--cold-starts"
    )
