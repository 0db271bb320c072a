"""The text that a saved run was trained on, read again. No torch."""

from __future__ import annotations

from collections.abc import Callable

from corpus import Corpus, CorpusOptions, UserError, Vocabulary, load_corpus, resolve_source
from corpus.novelty import LARGEST_INDEXED
from model.corpus_source import CorpusSource


def read_own_text(
    source: CorpusSource, vocabulary: Vocabulary, cancelled: Callable[[], bool]
) -> Corpus | str:
    """Returns the very text of a run, or a sentence that says why it is not to be had.

    The network is never used: nobody who opens a run has asked for a download.

    Args:
        source: what the run says of its text.
        vocabulary: of the run.
        cancelled: is asked while the text is read.

    Raises:
        corpus.LoadCancelled: ``cancelled`` said so.
    """
    if source.specification == "-":
        return "the run read its text from standard input"
    if source.characters > LARGEST_INDEXED:
        return f"{source.name}: the text is too long for it"
    options = CorpusOptions(encoding=source.encoding, lowercase=source.lowercase)
    try:
        found = resolve_source(source.specification, offline=True)
        corpus = load_corpus(found, options, vocabulary=vocabulary, cancelled=cancelled)
    except UserError as error:
        return str(error)
    if corpus.sha256 != source.sha256:
        return f"{source.specification}: is not the text that the run was trained on any more"
    return corpus
