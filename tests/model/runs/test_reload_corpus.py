"""The text of a saved run, read again: for novelty, for the compressors, for the units."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from model_fixtures import TEXT, make_request, of_kind
from patience import wait_until

from corpus import Corpus, CorpusOptions, Split
from corpus.novelty import MAX_INDEXED_CHARACTERS
from model.commands import StartRace
from model.config import Lane, LaneKind, SamplingConfig
from model.events import (
    Event,
    LanesWritten,
    NoveltyIndexed,
    RaceStarted,
    ReferencesMeasured,
    TextMissing,
    UnitsRanked,
    WeightsOpened,
)
from model.runs.checkpoint import CheckpointMetadata
from model.runs.checkpoint_file import read_metadata
from model.runs.folder import RunFolder
from model.runs.reload_corpus import reload_corpus
from model.runs.request import RunRequest
from model.session.live import LiveSession, SavedWeights
from model.session.watch import WatchSession
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr("model.session.analysis_thread.FIRST_PAUSE", 0.0)
    request = make_request(tmp_path, epochs=1)
    for _ in TrainingRun(request, TrainingControls()).events():
        pass
    (folder,) = RunFolder.all(request.root)
    return folder


def metadata_of(run: RunFolder) -> CheckpointMetadata:
    return read_metadata(run.checkpoints.paths()[-1])


def text_of(run: RunFolder) -> Path:
    return Path(metadata_of(run).source.specification)


def read(metadata: CheckpointMetadata) -> tuple[Corpus, Split] | str:
    return reload_corpus(metadata, lambda: False)


def trained_on(request: RunRequest) -> Corpus:
    """Trains a run; returns its text, read again, whose parts must be those of the training."""
    training = TrainingRun(request, TrainingControls())
    for _ in training.events():
        pass
    (folder,) = RunFolder.all(request.root)
    reloaded = read(metadata_of(folder))
    assert not isinstance(reloaded, str), reloaded
    corpus, split = reloaded
    assert corpus.sha256 == training._run.corpus.sha256
    assert corpus.vocabulary == training._run.corpus.vocabulary
    for part in ("train", "held_out"):
        assert np.array_equal(getattr(split, part), getattr(training._run.split, part)), part
    return corpus


def test_the_very_text_is_read_again(tmp_path: Path) -> None:
    corpus = trained_on(make_request(tmp_path, epochs=1))
    assert corpus.vocabulary.decode(corpus.ids) == TEXT


@pytest.mark.parametrize("mark", ["", "\u241e"])
def test_the_chosen_files_of_a_folder_are_read_again(tmp_path: Path, mark: str) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text(TEXT, encoding="utf-8")
    (texts / "b.md").write_text("\N{SNOWMAN}" * 500, encoding="utf-8")
    (texts / "c.txt").write_text("no", encoding="utf-8")
    options = CorpusOptions(include=("*.txt",), exclude=("c.*",), document_mark=mark)
    request = make_request(tmp_path, epochs=1)
    corpus = trained_on(dataclasses.replace(request, corpus=str(texts), corpus_options=options))
    assert TEXT in corpus.vocabulary.decode(corpus.ids)


def test_a_short_text_has_no_more_parts_than_in_training(tmp_path: Path) -> None:
    short = make_request(tmp_path, text=TEXT[:66], epochs=1, sequence=64, batch=1)
    assert len(trained_on(short)) == 66


def test_a_text_that_has_changed_or_gone_is_said(run: RunFolder) -> None:
    path = text_of(run)
    text = path.read_text(encoding="utf-8")
    path.write_text(text + text[:1], encoding="utf-8")
    assert "is no longer the text that the run was trained on" in str(read(metadata_of(run)))
    path.write_text(text + "\N{SNOWMAN}", encoding="utf-8")
    assert str(path) in str(read(metadata_of(run)))
    path.unlink()
    assert str(path) in str(read(metadata_of(run)))


def test_standard_input_and_endless_texts_are_not_tried(run: RunFolder) -> None:
    metadata = metadata_of(run)
    for change, words in (
        ({"specification": "-"}, "standard input"),
        ({"characters": MAX_INDEXED_CHARACTERS + 1}, "too long"),
    ):
        source = dataclasses.replace(metadata.source, **change)
        assert words in str(read(dataclasses.replace(metadata, source=source)))


def all_said(session: LiveSession | WatchSession, *kinds: type[Event]) -> list[Event]:
    seen: list[Event] = []

    def said() -> bool:
        seen.extend(session.poll())
        return all(of_kind(seen, kind) for kind in kinds)

    session.start()
    wait_until(said)
    assert session.close()
    return seen


def opened(run: RunFolder) -> LiveSession:
    work = SavedWeights(path=run.checkpoints.paths()[-1])
    return LiveSession(work, sampling=SamplingConfig(), rate=1000.0, seed=1)


def watched(run: RunFolder) -> WatchSession:
    return WatchSession(run, sampling=SamplingConfig(), rate=1000.0, seed=1)


@pytest.mark.parametrize("session", [opened, watched])
def test_a_saved_run_has_novelty_references_and_units(
    run: RunFolder, session: Callable[[RunFolder], LiveSession | WatchSession]
) -> None:
    seen = all_said(session(run), NoveltyIndexed, ReferencesMeasured, UnitsRanked)
    (indexed,) = of_kind(seen, NoveltyIndexed)
    word = text_of(run).read_text(encoding="utf-8").split()[0]
    assert indexed.index is not None
    assert indexed.index.knows_word(word)
    assert not indexed.index.knows_word("eterned")


@pytest.mark.parametrize("session", [opened, watched])
def test_a_saved_run_has_every_model_of_the_ladder(
    run: RunFolder, session: Callable[[RunFolder], LiveSession | WatchSession]
) -> None:
    kinds: tuple[LaneKind, ...] = ("order 0", "order 2", "order 5", "live", "best", "epoch")
    lanes = tuple(Lane(model=kind, temperature=1.0) for kind in kinds)
    ladder = session(run)
    ladder.post(StartRace(lanes=lanes))
    seen: list[Event] = []

    def is_whole() -> bool:
        seen.extend(ladder.poll())
        return _is_whole(seen)

    ladder.start()
    try:
        wait_until(is_whole)
    finally:
        ladder.close()
    start = of_kind(seen, RaceStarted)[-1]
    bits = [lane.bits_per_character for lane in start.lanes[:3]]
    assert all(value is not None and 0 < value < 8 for value in bits)
    assert start.lanes[5].epoch == metadata_of(run).epoch
    _, _, _, live, best, epoch = zip(
        *(event.characters for event in of_kind(seen, LanesWritten)[-10:]), strict=True
    )
    assert live == best == epoch, "the run has saved one checkpoint"


def _is_whole(seen: list[Event]) -> bool:
    """Whether a race of all models has written for a while."""
    starts = [place for place, event in enumerate(seen) if isinstance(event, RaceStarted)]
    is_whole = bool(starts) and all(
        lane.is_written for lane in of_kind(seen, RaceStarted)[-1].lanes
    )
    return is_whole and len(of_kind(seen[starts[-1] :], LanesWritten)) > 10


@pytest.mark.parametrize("session", [opened, watched])
def test_without_its_text_a_saved_run_says_so(
    run: RunFolder, session: Callable[[RunFolder], LiveSession | WatchSession]
) -> None:
    text_of(run).unlink()
    (missing,) = of_kind(all_said(session(run), TextMissing), TextMissing)
    assert "\n" not in missing.reason


def test_opened_weights_say_what_became_of_their_run(run: RunFolder) -> None:
    metadata = metadata_of(run)
    (said,) = of_kind(all_said(opened(run), WeightsOpened), WeightsOpened)
    assert said == WeightsOpened(
        step=metadata.step,
        nats_per_character=metadata.nats_per_character,
        best=metadata.best,
        last_step=metadata.step,
        run_ended="completed",
    )
    (run.path / "metrics.jsonl").unlink()
    (said,) = of_kind(all_said(opened(run), WeightsOpened), WeightsOpened)
    assert (said.last_step, said.run_ended) == (metadata.step, None)
