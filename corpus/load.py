"""Loading: from a source to a corpus, in one pass, with a way to watch it and to stop it.

It never holds the text as one string. It knows no model: whether a text is long enough for one is
decided where the model's sizes are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING, Literal, TypeVar

from corpus.access import require_size
from corpus.decoding import decode_chunks, require_encoding
from corpus.encoded import Corpus, CorpusOptions
from corpus.errors import CorpusError, LoadCancelled, NotTextError
from corpus.id_encoder import IdEncoder
from corpus.vocabulary import Vocabulary, shown_symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from corpus.document import Document
    from corpus.sources import Source

_Item = TypeVar("_Item")


def load_corpus(
    source: Source,
    options: CorpusOptions,
    *,
    vocabulary: Vocabulary | None = None,
    unknown: Literal["refuse", "skip"] = "refuse",
    progress: Callable[[float | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Corpus:
    """Reads, decodes and encodes a source.

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
    require_encoding(options.encoding)
    watch = _Watch(progress, cancelled)
    encoder = IdEncoder(
        source.given,
        vocabulary=vocabulary,
        unknown=unknown,
        maximum_vocabulary=options.maximum_vocabulary,
    )
    notes = _Notes()
    try:
        documents = list(watch.each(source.documents()))
        watch.total = _total(source, documents)
        read = sum(_add(document, options, encoder, notes, watch) for document in documents)
        if read == 0:
            raise CorpusError(source.given, "holds no text file", "give a folder with text in it")
        for _ in watch.each(encoder.finish()):
            pass
        ids, found = encoder.result()
    finally:
        encoder.close()
    return Corpus(
        name=source.name,
        specification=source.specification,
        ids=ids,
        vocabulary=found,
        sha256=encoder.sha256,
        notes=(*notes.sentences(len(documents)), *_oddities(found, encoder)),
        skipped=encoder.skipped,
    )


def _add(
    document: Document, options: CorpusOptions, encoder: IdEncoder, notes: _Notes, watch: _Watch
) -> int:
    """Adds one document, or leaves it out where that is allowed; returns how many were read."""
    started = False
    texts = decode_chunks(
        watch.counted(document.chunks()),
        label=document.label,
        encoding=document.encoding or options.encoding,
        lowercase=options.lowercase,
        note=notes.add,
    )
    try:
        for text in texts:
            if not text:
                continue
            if not started and encoder.last_character not in {"", "\n"}:
                encoder.add("\n")
            started = True
            encoder.add(text)
    except NotTextError:
        if started or not document.optional:
            raise
        notes.add("skipped, looks like something else than text")
        return 0
    return 1


def _total(source: Source, documents: list[Document]) -> int | None:
    sizes = [document.size for document in documents]
    known = [size for size in sizes if size is not None]
    require_size(source.given, sum(known))
    return sum(known) if len(known) == len(sizes) else None


def _oddities(vocabulary: Vocabulary, encoder: IdEncoder) -> Iterator[str]:
    if encoder.skipped:
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
    """Reports progress and asks whether to stop, at each step of the work."""

    def __init__(
        self,
        progress: Callable[[float | None], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.total: int | None = None
        """Bytes to come; None where it is not known."""
        self._progress = progress
        self._cancelled = cancelled
        self._done = 0

    def each(self, items: Iterator[_Item]) -> Iterator[_Item]:
        """Passes `items` on; stops by `LoadCancelled`, and then closes a generator at once."""
        try:
            self._require_wanted()
            for item in items:
                yield item
                self._require_wanted()
        finally:
            if isinstance(items, Generator):
                items.close()

    def counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Passes `chunks` on as `each` does, and reports how much of the total they are."""
        for chunk in self.each(chunks):
            self._done += len(chunk)
            if self._progress is not None:
                known = self.total is not None and self.total > 0
                self._progress(min(self._done / self.total, 1.0) if known else None)  # type: ignore[operator]
            yield chunk

    def _require_wanted(self) -> None:
        if self._cancelled is not None and self._cancelled():
            raise LoadCancelled
