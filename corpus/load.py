"""Loading: from a source to a corpus, in one pass, with a way to watch it and to stop it.

It never holds the text as one string. A large text is encoded whole before anything is done with
it: its vocabulary decides the network's size, its end is what is held out, and the streams of a
training begin at places all over it. It knows no model: whether a text is long enough for one is
decided where the model's sizes are known.
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
"""Seconds to wait for files that have just been written, so that the cache can trust them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProgress:
    """How far a text is read."""

    stage: Literal["encoding the text", "ordering the ids", "checking the cache", "keeping it"]
    fraction: float | None = None
    """Done part of the stage from 0 to 1, where it is known."""


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
        source: where the bytes come from (see `resolve_source`).
        options: how they become characters.
        vocabulary: ids follow this one; None builds the text's own.
        unknown: what becomes of characters outside a given vocabulary.
        progress: is told the fraction read so far after each chunk, None where it is not known.
        cancelled: is asked before each chunk; True stops the load.

    Raises:
        CorpusError: the text cannot be used (its subclasses: the file system, the network).
        LoadCancelled: `cancelled` said so. No file is left behind.
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

    A large text that is read from files goes into the cache of encoded texts, and is looked for
    there first. Whoever closes the generator leaves no file behind either. Arguments and errors
    are those of `load_corpus`.
    """
    require_encoding(options.encoding)
    watch = _Watch(cancelled)
    documents = list(watch.each(source.documents()))
    watch.total = _total(source, documents)
    mark = options.document_mark if source.is_folder else ""
    stamp = yield from _stamp(documents, options, mark, watch)
    if stamp is not None:
        found = yield from _from_cache(source, options, stamp, vocabulary, watch)
        if found is not None:
            return found
    encoder = IdEncoder(
        source.given,
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
            raise CorpusError(source.given, *_nothing_read(options))
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
    """Returns the stamp of a large text, once its files have settled; None where there is none."""
    if watch.total is None or watch.total <= MAX_IDS_IN_MEMORY:
        return None
    cache_limit()  # a size that makes no sense is refused before the work, not after it
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
    """Returns the text as it was encoded before; None where that cannot be used."""
    looking = GeneratorWithResult(find_text(stamp))
    for fraction in looking:
        watch.require_wanted()
        yield LoadProgress(stage="checking the cache", fraction=fraction)
    found = looking.result
    if found is None:
        return None
    text = found.text
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
        notes=(*found.notes, *_oddities(text.vocabulary, None)),
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
        return "holds no text file that the patterns leave", "check --include and --exclude"
    return "holds no text file", "give a folder with text in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What all documents of a source have to do with."""

    options: CorpusOptions
    mark: str
    encoder: IdEncoder
    notes: _Notes
    watch: _Watch


def _add(document: Document, reading: _Reading) -> Generator[LoadProgress, None, int]:
    """Adds one document, or leaves it out where that is allowed; returns how many were read."""
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
        notes.add("skipped, looks like something else than text")
        return 0
    finally:
        texts.close()
    if marked:
        notes.add(f"U+{ord(mark):04X}, the mark between documents, was read as a space")
    return 1


def _between(encoder: IdEncoder, mark: str) -> str:
    """Returns what stands between the text so far and the next document."""
    if not encoder.last_character:
        return ""
    newline = "" if encoder.last_character == "\n" else "\n"
    return f"{newline}{mark}\n" if mark else newline


def _total(source: Source, documents: list[Document]) -> int | None:
    sizes = [document.size for document in documents]
    known = [size for size in sizes if size is not None]
    require_size(source.given, sum(known))
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
    """Remarks about documents: the same one about many of them is said once, with their number."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, remark: str) -> None:
        self._counts[remark] += 1

    def sentences(self, documents: int) -> Iterator[str]:
        for remark, count in self._counts.items():
            files = "1 file" if count == 1 else f"{count:,} files"
            yield remark if documents == 1 else f"{files}: {remark}"


class _Watch:
    """Counts what was read and asks whether to stop, at each step of the work."""

    def __init__(self, cancelled: Callable[[], bool] | None) -> None:
        self.total: int | None = None
        """Bytes to come; None where it is not known."""
        self._cancelled = cancelled
        self._done = 0

    @property
    def fraction(self) -> float | None:
        """The part of the total that was read, where it is known."""
        return min(self._done / self.total, 1.0) if self.total else None

    def each(self, items: Iterator[_Item]) -> Iterator[_Item]:
        """Passes `items` on; stops by `LoadCancelled`, and then closes a generator at once."""
        try:
            self.require_wanted()
            for item in items:
                yield item
                self.require_wanted()
        finally:
            if isinstance(items, Generator):
                items.close()

    def counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Passes `chunks` on as `each` does, and counts how much of the total they are."""
        for chunk in self.each(chunks):
            self._done += len(chunk)
            yield chunk

    def require_wanted(self) -> None:
        """Raises `LoadCancelled` where nobody wants the text any more."""
        if self._cancelled is not None and self._cancelled():
            raise LoadCancelled
