"""Loads a corpus from a source in one pass, with progress reports and cancellation.

The text is never held as one string. A large text is encoded completely before it is used, for
three reasons: its vocabulary determines the network's size, its end is held out, and the streams of
a training start at places all over it. This module does not know the model, so it does not decide
whether a text is long enough.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from corpus.cache.encoded_cache import cache_limit, find_text, keep_text
from corpus.cache.fingerprint import Stamp, stamp_of
from corpus.cache.ids_array import MAX_IDS_IN_MEMORY
from corpus.corpus import Corpus, CorpusOptions
from corpus.counted import counted
from corpus.decoding import decode_chunks, require_encoding
from corpus.errors import CorpusError, LoadCancelled, NotTextError
from corpus.files.access import require_size
from corpus.generators import GeneratorWithResult
from corpus.id_encoder import IdEncoder
from corpus.vocabulary import Vocabulary, shown_symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from corpus.document import Document
    from corpus.sources import Source

_Item = TypeVar("_Item")

MAX_SETTLE_SECONDS = 2.5
"""Longest time to wait until files that were just written are old enough for the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProgress:
    """The progress of loading a text."""

    stage: Literal["encoding the text", "ordering the ids", "checking the cache", "keeping it"]
    fraction: float | None = None
    """Completed part of the stage from 0 to 1; None if unknown."""


Loading = Generator[LoadProgress, None, Corpus]


def load_corpus(
    source: Source,
    options: CorpusOptions,
    *,
    vocabulary: Vocabulary | None = None,
    unknown: Literal["refuse", "skip"] = "refuse",
    progress: Callable[[float | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Corpus:
    """Reads, decodes and encodes a source, as `loading` does, to the end.

    Args:
        source: the origin of the bytes (see `resolve_source`).
        options: the way to decode the bytes.
        vocabulary: determines the ids; None means a new vocabulary for the text.
        unknown: whether to refuse or to skip characters outside a given vocabulary.
        progress: receives the fraction read so far after each chunk; None if unknown.
        cancelled: is asked before each chunk; True stops the load.

    Raises:
        CorpusError: the text cannot be used (its subclasses: the file system, the network).
        LoadCancelled: `cancelled` returned true. No file is left behind.
    """
    work = GeneratorWithResult(
        loading(source, options, vocabulary=vocabulary, unknown=unknown, cancelled=cancelled)
    )
    for done in work:
        if progress is not None and done.stage == "encoding the text":
            progress(done.fraction)
    return work.result


def loading(
    source: Source,
    options: CorpusOptions,
    *,
    vocabulary: Vocabulary | None = None,
    unknown: Literal["refuse", "skip"] = "refuse",
    cancelled: Callable[[], bool] | None = None,
) -> Loading:
    """Reads, decodes and encodes a source, or finds it encoded; yields after each chunk.

    A large text from files is searched for in the cache of encoded texts first, and stored there
    after reading. Closing the generator leaves no file behind. Arguments and errors are those of
    `load_corpus`.
    """
    require_encoding(options.encoding)
    watch = _Watch(cancelled)
    documents = list(watch.each(source.documents()))
    watch.total = _total(source, documents)
    mark = options.document_mark if source.is_folder else ""
    stamp = yield from _stamp(documents, options, mark, watch)
    if stamp is not None:
        cached = yield from _from_cache(source, options, stamp, vocabulary, watch)
        if cached is not None:
            return cached
    encoder = IdEncoder(
        source.label,
        vocabulary=vocabulary,
        unknown=unknown,
        maximum_vocabulary=options.maximum_vocabulary,
        max_ids_in_memory=MAX_IDS_IN_MEMORY,
    )
    try:
        notes = _Notes()
        read = 0
        reading = _Reading(options=options, mark=mark, encoder=encoder, notes=notes, watch=watch)
        for document in documents:
            read += yield from _add(document, reading)
        if read == 0:
            raise CorpusError(source.label, *_nothing_read(options))
        for done in watch.each(encoder.finish()):
            yield LoadProgress(stage="ordering the ids", fraction=done)
        corpus = _corpus(source, encoder, tuple(notes.sentences(len(documents))))
        if stamp is not None and encoder.file is not None and encoder.has_own_vocabulary:
            after = stamp_of(documents, options, mark)
            if after is not None and after.key == stamp.key and stamp.seconds_to_settle <= 0:
                for _ in watch.each(keep_text(encoder.file, corpus, stamp)):
                    yield LoadProgress(stage="keeping it")
    finally:
        encoder.close()
    return replace(corpus, notes=(*corpus.notes, *_oddities(corpus.vocabulary, encoder)))


def _stamp(
    documents: list[Document], options: CorpusOptions, mark: str, watch: _Watch
) -> Generator[LoadProgress, None, Stamp | None]:
    """Returns the stamp of a large text after its files have settled; None without a stamp."""
    if watch.total is None or watch.total <= MAX_IDS_IN_MEMORY:
        return None
    cache_limit()  # refuses an invalid size before the work, not after it
    stamp = stamp_of(documents, options, mark)
    if stamp is None or not 0 < stamp.seconds_to_settle <= MAX_SETTLE_SECONDS:
        return stamp
    until = time.monotonic() + stamp.seconds_to_settle
    while time.monotonic() < until:
        watch.require_wanted()
        yield LoadProgress(stage="encoding the text", fraction=0.0)
        time.sleep(0.05)
    return stamp_of(documents, options, mark)


def _from_cache(
    source: Source,
    options: CorpusOptions,
    stamp: Stamp,
    vocabulary: Vocabulary | None,
    watch: _Watch,
) -> Generator[LoadProgress, None, Corpus | None]:
    """Returns the text from the cache; None if it is missing or does not fit the options."""
    lookup = GeneratorWithResult(find_text(stamp))
    for fraction in lookup:
        watch.require_wanted()
        yield LoadProgress(stage="checking the cache", fraction=fraction)
    hit = lookup.result
    if hit is None:
        return None
    text = hit.text
    if vocabulary is not None and vocabulary != text.vocabulary:
        return None
    if len(text.vocabulary) > options.maximum_vocabulary:
        return None
    return Corpus(
        name=source.name,
        specification=source.specification,
        ids=text.ids,
        vocabulary=vocabulary or text.vocabulary,
        sha256=text.sha256,
        notes=(*hit.notes, *_oddities(text.vocabulary, None)),
    )


def _corpus(source: Source, encoder: IdEncoder, notes: tuple[str, ...]) -> Corpus:
    ids, vocabulary = encoder.result()
    return Corpus(
        name=source.name,
        specification=source.specification,
        ids=ids,
        vocabulary=vocabulary,
        sha256=encoder.sha256,
        notes=notes,
        skipped=encoder.skipped,
    )


def _nothing_read(options: CorpusOptions) -> tuple[str, str]:
    if options.include or options.exclude:
        return "holds no text file that matches the patterns", "check --include and --exclude"
    return "holds no text file", "give a folder with text in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The values that the reading of all documents of a source shares."""

    options: CorpusOptions
    mark: str
    encoder: IdEncoder
    notes: _Notes
    watch: _Watch


def _add(document: Document, reading: _Reading) -> Generator[LoadProgress, None, int]:
    """Adds one document, or skips it if it is optional; returns the number of documents read."""
    options, mark, encoder = reading.options, reading.mark, reading.encoder
    notes, watch = reading.notes, reading.watch
    started = marked = False
    texts = decode_chunks(
        watch.counted(document.chunks()),
        label=document.label,
        encoding=document.encoding or options.encoding,
        lowercase=options.lowercase,
        note=notes.add,
    )
    try:
        for text in texts:
            yield LoadProgress(stage="encoding the text", fraction=watch.fraction)
            if not text:
                continue
            if not started:
                encoder.add(_between(encoder, mark))
            started = True
            if mark and mark in text:
                marked = True
                text = text.replace(mark, " ")  # noqa: PLW2901 - the same text, safe to be joined
            encoder.add(text)
    except NotTextError:
        if started or not document.optional:
            raise
        notes.add("skipped, not text")
        return 0
    finally:
        texts.close()
    if marked:
        notes.add(f"U+{ord(mark):04X}, the mark between documents, was read as a space")
    return 1


def _between(encoder: IdEncoder, mark: str) -> str:
    """Returns the separator between the text so far and the next document."""
    if not encoder.last_character:
        return ""
    newline = "" if encoder.last_character == "\n" else "\n"
    return f"{newline}{mark}\n" if mark else newline


def _total(source: Source, documents: list[Document]) -> int | None:
    sizes = [document.size for document in documents]
    known = [size for size in sizes if size is not None]
    require_size(source.label, sum(known))
    return sum(known) if len(known) == len(sizes) else None


def _oddities(vocabulary: Vocabulary, encoder: IdEncoder | None) -> Iterator[str]:
    if encoder is not None and encoder.skipped:
        symbols = shown_symbols(encoder.unknown_symbols)
        yield f"{encoder.skipped:,} characters that the vocabulary lacks were skipped: {symbols}"
    if len(vocabulary) == 1:
        yield "1 distinct character: the loss will be 0"
    elif all(symbol.isspace() for symbol in vocabulary.symbols):
        yield "nothing but white space"


class _Notes:
    """Collects remarks about documents; an equal remark is reported once, with a count."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, remark: str) -> None:
        self._counts[remark] += 1

    def sentences(self, documents: int) -> Iterator[str]:
        for remark, count in self._counts.items():
            yield remark if documents == 1 else f"{counted(count, 'file')}: {remark}"


class _Watch:
    """Counts the bytes read, and checks for cancellation at each step of the work."""

    def __init__(self, cancelled: Callable[[], bool] | None) -> None:
        self.total: int | None = None
        """Size of all documents in bytes; None if unknown."""
        self._cancelled = cancelled
        self._done = 0

    @property
    def fraction(self) -> float | None:
        """The part of the total that was read; None if unknown."""
        return min(self._done / self.total, 1.0) if self.total else None

    def each(self, items: Iterator[_Item]) -> Iterator[_Item]:
        """Yields `items`; on cancellation raises `LoadCancelled` and closes a generator."""
        try:
            self.require_wanted()
            for item in items:
                yield item
                self.require_wanted()
        finally:
            if isinstance(items, Generator):
                items.close()

    def counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yields `chunks` as `each` does, and counts their bytes."""
        for chunk in self.each(chunks):
            self._done += len(chunk)
            yield chunk

    def require_wanted(self) -> None:
        """Raises `LoadCancelled` if the caller has cancelled the load."""
        if self._cancelled is not None and self._cancelled():
            raise LoadCancelled
