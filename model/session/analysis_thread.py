"""A thread for analyses beside the training: novelty, references, hidden units, n-grams.

Nothing waits for these analyses, which are optional. They start shortly after the first frame.
They use NumPy and the standard library's compressors, which release the GIL while they work.
A reference is what a compressor, or an n-gram model of the training part, needs for the text.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from corpus import Corpus, LoadCancelled, Split
from corpus.novelty import MAX_INDEXED_CHARACTERS, NoveltyIndex
from model.commands import StartRace, WritingCommand
from model.config import NGRAM_ORDERS
from model.evaluation.hidden_units import rank_units
from model.events import (
    AnalysisEvent,
    DuelEvent,
    NoveltyIndexed,
    ReferencesMeasured,
    TextMissing,
    UnitsRanked,
)
from model.network.published import PublishedWeights
from model.ngram.errors import BuildCancelled
from model.runs.checkpoint import CheckpointMetadata
from model.runs.reload_corpus import reload_corpus
from model.session.counted_ngrams import CountedNgrams
from model.session.duel_scores import DuelScores
from model.session.duel_thread import DuelThread
from model.session.race_runner import LaneSource
from model.system.refusal import refusal_of

FIRST_PAUSE: Final = 2.0
"""Seconds before the analyses start, so that the first frame and characters are not delayed."""
RANKING_PAUSE: Final = 20.0
"""Seconds between two rankings of the hidden units."""
MAX_COMPRESSED_CHARACTERS: Final = 20_000_000
"""Maximum characters of a text that is compressed; a longer one would occupy a core too long."""
NGRAM_ORDER: Final = 5
"""Characters of context of the n-gram model; more hardly help on a text of a few megabytes."""
CHUNK: Final = 1 << 20
"""Characters that are decoded and compressed at a time."""


Rivals = Callable[[Corpus], Iterable[LaneSource]]
"""Returns what saved runs on a text can write lanes with."""


def no_rivals(corpus: Corpus) -> Iterable[LaneSource]:  # noqa: ARG001 - a `Rivals`
    """Returns nothing."""
    return ()


class Analysis:
    """Runs the analyses of one session in a background thread."""

    def __init__(
        self,
        put: Callable[[AnalysisEvent | DuelEvent], None],
        offer: Callable[[LaneSource], None] = lambda source: None,  # noqa: ARG005
    ) -> None:
        """Creates the analyses without starting the thread.

        Args:
            put: receives each result; called from the threads.
            offer: receives each n-gram model, once a race has asked for them; called from the
                thread.
        """
        self._put = put
        self._offer = offer
        self.duel = DuelThread(put)
        """Lets the model play against the user."""
        self._duel_has_text = False
        self._wants_ngrams = False
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._latest: PublishedWeights | None = None

    def start(
        self, corpus: Corpus, split: Split, scores: DuelScores, rivals: Rivals = no_rivals
    ) -> None:
        """Starts the thread, which analyses a text that is in memory.

        Args:
            corpus: the text.
            split: its parts.
            scores: where the scores of duels are kept.
            rivals: finds the saved runs that the race may compare with.
        """
        self._rivals = rivals
        self._give_duel(split, scores)
        self._start(lambda: self._work(corpus, split))

    def start_again(
        self, metadata: CheckpointMetadata, scores: DuelScores, rivals: Rivals = no_rivals
    ) -> None:
        """Starts the thread, which first reloads the text of a saved run.

        Args:
            metadata: of a checkpoint of the run.
            scores: where the scores of duels are kept.
            rivals: finds the saved runs that the race may compare with.
        """
        self._rivals = rivals
        self._start(lambda: self._read_and_work(metadata, scores))

    def publish(self, published: PublishedWeights) -> None:
        """Replaces the weights for the next ranking and the next letter; never blocks."""
        self._latest = published
        self.duel.publish(published)

    def post(self, command: WritingCommand) -> None:
        """Builds the n-gram models when the first race asks for one; never blocks."""
        if isinstance(command, StartRace) and any(
            lane.model in NGRAM_ORDERS for lane in command.lanes
        ):
            self._wants_ngrams = True
            self._woken.set()

    def stop(self) -> None:
        """Asks the thread to end; an unfinished analysis is discarded."""
        self._stopping.set()
        self._woken.set()
        self.duel.stop()

    def _give_duel(self, split: Split, scores: DuelScores) -> None:
        self.duel.use_text(split, scores)
        self._duel_has_text = True

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._run, args=(work,), name="analysis", daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        if self._stopping.wait(FIRST_PAUSE):
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the top of a worker: a defect becomes an event
            refusal = refusal_of(error)
            reason = f"a defect: {error!r}" if refusal is None else str(refusal)
            self._put(TextMissing(reason=reason))
            if not self._duel_has_text:
                self.duel.refuse(f"The run's text is missing: {reason}.")

    def _read_and_work(self, metadata: CheckpointMetadata, scores: DuelScores) -> None:
        try:
            reloaded = reload_corpus(metadata, self._stopping.is_set)
        except LoadCancelled:
            return
        if isinstance(reloaded, str):
            self._put(TextMissing(reason=reloaded))
            self.duel.refuse(f"The run's text is missing: {reloaded}.")
            return
        corpus, split = reloaded
        self._give_duel(split, scores)
        self._work(corpus, split)

    def _work(self, corpus: Corpus, split: Split) -> None:
        fits = len(corpus) <= MAX_INDEXED_CHARACTERS
        index = NoveltyIndex(corpus.ids, corpus.vocabulary) if fits else None
        self._put(NoveltyIndexed(index=index))
        ngrams = CountedNgrams(split, corpus.vocabulary, self._stopping.is_set)
        measured = references(corpus, ngrams, self._stopping.is_set)
        if measured.bits_per_character and not self._stopping.is_set():
            self._put(measured)
        ranked, has_lanes = None, False
        while True:
            self._woken.wait(RANKING_PAUSE if ranked else 1.0)
            self._woken.clear()
            if self._stopping.is_set():
                return
            if self._wants_ngrams and not has_lanes:
                self._offer_lanes(ngrams, corpus)
                has_lanes = True
            latest = self._latest
            if latest is not None and latest is not ranked:
                units = rank_units(latest.snapshot, latest.vocabulary, split.held_out)
                self._put(UnitsRanked(units=units))
                ranked = latest

    def _offer_lanes(self, ngrams: CountedNgrams, corpus: Corpus) -> None:
        """Hands the n-gram models and the rivals to the race, together, so that it starts once."""
        with contextlib.suppress(BuildCancelled):
            for source in (*ngrams.lanes(), *self._rivals(corpus)):
                self._offer(source)


def references(
    corpus: Corpus, ngrams: CountedNgrams, cancelled: Callable[[], bool] = lambda: False
) -> ReferencesMeasured:
    """Returns what compressors need for the whole text, and n-grams for its held-out part.

    Args:
        corpus: the text.
        ngrams: the models of its training part.
        cancelled: is asked often; the rest is left out once it returns true.
    """
    figures, note = list(_compressors(corpus, cancelled)), ""
    with contextlib.suppress(BuildCancelled):
        bits = ngrams.bits(NGRAM_ORDER)
        if bits is not None:
            figures.append((f"{NGRAM_ORDER}-gram", bits))
            note = ngrams.model(NGRAM_ORDER).note
    return ReferencesMeasured(bits_per_character=tuple(figures), note=note)


def _compressors(corpus: Corpus, cancelled: Callable[[], bool]) -> Iterator[tuple[str, float]]:
    """Yields the name of each compressor and its bits per character on the whole text.

    Args:
        corpus: the text; nothing is yielded for one longer than `MAX_COMPRESSED_CHARACTERS`.
        cancelled: is asked often; the rest is left out once it returns true.
    """
    if len(corpus) > MAX_COMPRESSED_CHARACTERS:
        return
    compressors: tuple[tuple[str, Any], ...] = (
        ("bz2", bz2.BZ2Compressor()),
        ("xz", lzma.LZMACompressor()),
    )
    for name, compressor in compressors:
        size = 0
        for start in range(0, len(corpus), CHUNK):
            if cancelled():
                return
            text = corpus.vocabulary.decode(corpus.ids[start : start + CHUNK])
            size += len(compressor.compress(text.encode("utf-8", "surrogatepass")))
        size += len(compressor.flush())
        yield name, 8 * size / max(1, len(corpus))
