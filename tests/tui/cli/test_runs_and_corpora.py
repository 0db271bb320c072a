"""`charlm-tui runs` and `corpora`: their lists as JSON and as text, and the cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_here import charlm_here
from terminal_harness import checkpoint_steps
from trained_home import Trained, charlm, objects

pytestmark = pytest.mark.terminal


def test_runs_lists_runs_in_json(trained: Trained) -> None:
    done = charlm(trained.home, "runs", "--json")
    assert (done.status, done.complaint) == (0, "")
    (record,) = objects(done.output)
    keys = "run path corpus network steps best_nats_per_character checkpoints state"
    assert sorted(record) == sorted(keys.split())
    assert [record[key] for key in ("run", "corpus", "state")] == ["tiny", "words.txt", "finished"]
    assert record["steps"] == trained.last("finished")["step"]
    steps = [item["step"] for item in record["checkpoints"]]
    assert steps == checkpoint_steps(trained.home / "runs")
    for item in record["checkpoints"]:
        assert sorted(item) == sorted(["step", "path", "nats_per_character", "best"])
        assert Path(trained.home, item["path"]).is_file()
    assert sum(item["best"] for item in record["checkpoints"]) == 1


def test_runs_prints_a_table_without_control_characters(trained: Trained) -> None:
    done = charlm_here(trained.home, "runs")
    assert done.status == 0
    assert "tiny" in done.output
    assert "\x1b" not in done.output


def test_corpora_lists_the_built_in_texts_in_json(home: Path) -> None:
    done = charlm(home, "corpora", "--json")
    assert (done.status, done.complaint) == (0, "")
    records = {record["name"]: record for record in objects(done.output)}
    assert {"python-prose", "python-docs", "python-source", "nietzsche"} <= set(records)
    for record in records.values():
        assert sorted(record) == sorted(["name", "description", "characters", "source", "present"])
    assert records["python-docs"]["present"] is True
    assert records["nietzsche"]["present"] is False


def test_corpora_says_what_the_cache_holds_and_clears_it(home: Path) -> None:
    texts = home / "cache" / "charlm-tui" / "texts"
    texts.mkdir(parents=True)
    (texts / f"{'0' * 64}.ids").write_bytes(b"x" * 3_000_000)
    listed = charlm_here(home, "corpora", environment={"CHARLM_CACHE_LIMIT": "2G"})
    assert listed.status == 0
    assert f"cache of encoded texts: 2.9 MiB of at most 2.0 GiB in {texts}" in listed.output
    cleared = charlm_here(home, "corpora", "--clear-cache")
    assert (cleared.status, cleared.output) == (0, f"freed 2.9 MiB in {texts}\n")
    assert not list(texts.iterdir())
    assert objects(charlm_here(home, "corpora", "--clear-cache", "--json").output) == [
        {"freed_bytes": 0}
    ]
    environment = {"CHARLM_CACHE_LIMIT": "plenty"}
    refused = charlm_here(home, "corpora", environment=environment)
    assert refused.status == 3
    assert "$CHARLM_CACHE_LIMIT: 'plenty' is not a size" in refused.complaint
