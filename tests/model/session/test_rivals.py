"""Which saved runs of other networks the race has lanes for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from model_fixtures import TEXT, TINY_MODEL, VOCABULARY, make_checkpoint

from corpus import Corpus
from model.runs.folder import RunFolder
from model.sampling.race import Race
from model.session.rivals import rivals

CORPUS = Corpus(
    name="text",
    specification="text",
    ids=VOCABULARY.encode(TEXT),
    vocabulary=VOCABULARY,
    sha256="0" * 64,
)


def save(root: Path, name: str, network: str, step: int = 5, *, sha256: str = "0" * 64) -> None:
    """Saves a run of one checkpoint."""
    model = dataclasses.replace(TINY_MODEL, network=network)
    made = make_checkpoint(step, nats=1.5, model=model)
    source = dataclasses.replace(made.metadata.source, sha256=sha256)
    metadata = dataclasses.replace(made.metadata, run=name, source=source)
    folder = RunFolder.create(root, name, fallback_name=name)
    folder.path.joinpath("run.json").write_text("{}", encoding="utf-8")
    folder.checkpoints.save(dataclasses.replace(made, metadata=metadata))
    folder.unlock()


def test_each_other_network_has_a_lane_of_its_newest_run_on_the_text(tmp_path: Path) -> None:
    save(tmp_path, "own", "lstm")
    save(tmp_path, "old", "gru", step=3)
    save(tmp_path, "new", "gru", step=9)
    save(tmp_path, "elsewhere", "conv", sha256="1" * 64)
    (tmp_path / "broken").mkdir()
    (found,) = rivals(tmp_path, "lstm", CORPUS)
    assert (found.kind, round(found.bits_per_character or 0, 2)) == ("gru", 2.16)
    race = Race([("gru", 0.5), ("none", 1.0)], {"gru": found.model}, found.vocabulary, seed=1)
    written = [race.step().characters for _ in range(20)]
    assert all(letter and not missing for letter, missing in written)
    save(tmp_path, "there", "conv")
    assert [each.kind for each in rivals(tmp_path, "gru", CORPUS)] == ["conv", "lstm"]
    assert list(rivals(tmp_path / "nowhere", "gru", CORPUS)) == []
