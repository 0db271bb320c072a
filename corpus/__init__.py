"""Text in, ids out: everything between a name on the command line and an array of numbers.

The way through it::

    source = resolve_source("nietzsche")            # which text: built-in, file, folder, stdin
    corpus = load_corpus(source, CorpusOptions())   # bytes -> characters -> ids, streamed
    parts = split_ids(corpus.ids, 0.1)              # what to learn from, what to measure on
    prompt = fit_prompt("Ça ira", corpus.vocabulary)

It needs NumPy and knows neither a network nor a screen. Errors of the environment are raised as a
`UserError`, one line for a person.
"""

from corpus.cache.encoded_cache import (
    CachedText,
    cache_limit,
    cached_texts,
    clear_texts,
    texts_folder,
)
from corpus.cache.mmap_pages import release_pages
from corpus.corpus import DOCUMENT_MARK, Corpus, CorpusOptions
from corpus.decoding import require_encoding
from corpus.document import Document
from corpus.download.builtin import DEFAULT_TEXT, BuiltinText, builtin_texts
from corpus.errors import (
    CorpusAccessError,
    CorpusError,
    DownloadError,
    LoadCancelled,
    NotTextError,
    UnknownSymbolsError,
    UserError,
)
from corpus.files.cache_folder import cache_folder
from corpus.load import Loading, LoadProgress, load_corpus, loading
from corpus.prompt import (
    MAX_PROMPT_CHARACTERS,
    FittedPrompt,
    fit_prompt,
    in_known_form,
    require_prompt,
    unknown_symbols,
)
from corpus.sources import STANDARD_INPUT_NAMES, Source, resolve_source
from corpus.split import Split, split_ids
from corpus.vocabulary import Vocabulary, shown_symbols

__all__ = [
    "DEFAULT_TEXT",
    "DOCUMENT_MARK",
    "MAX_PROMPT_CHARACTERS",
    "STANDARD_INPUT_NAMES",
    "BuiltinText",
    "CachedText",
    "Corpus",
    "CorpusAccessError",
    "CorpusError",
    "CorpusOptions",
    "Document",
    "DownloadError",
    "FittedPrompt",
    "LoadCancelled",
    "LoadProgress",
    "Loading",
    "NotTextError",
    "Source",
    "Split",
    "UnknownSymbolsError",
    "UserError",
    "Vocabulary",
    "builtin_texts",
    "cache_folder",
    "cache_limit",
    "cached_texts",
    "clear_texts",
    "fit_prompt",
    "in_known_form",
    "load_corpus",
    "loading",
    "release_pages",
    "require_encoding",
    "require_prompt",
    "resolve_source",
    "shown_symbols",
    "split_ids",
    "texts_folder",
    "unknown_symbols",
]
