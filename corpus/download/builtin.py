"""The built-in texts: three that come with Python, and one that is downloaded.

This module knows the origin of each text; `download` uses the network.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sysconfig
import tokenize
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.document import Document
from corpus.download.fetch import PinnedDownload, fetch, refuse
from corpus.download.python_prose import prose_of
from corpus.errors import CorpusError
from corpus.files.access import read_chunks
from corpus.files.cache_folder import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NIETZSCHE = PinnedDownload(
    name="nietzsche.txt",
    url="https://s3.amazonaws.com/text-datasets/nietzsche.txt",
    size=600_901,
    sha256="23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
)
NIETZSCHE_CHARACTERS = 600_893

DEFAULT_TEXT = "python-prose"
"""Name of the default text, which needs no file and no network."""
_WHOLE_REFERENCE = "python-docs"

_NOT_SOURCE = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinText:
    """A built-in text, which the user selects by name."""

    name: str
    description: str

    source: str
    """Origin of the text: an address, or a place within Python."""

    present: bool
    """Whether the text is on this machine; a download counts if its file has the right size."""

    count: Callable[[], int | None]
    """Returns the length of the text, which may take a tenth of a second."""

    @property
    def characters(self) -> int | None:
        """Length of the text; None if it is not known without reading many files."""
        return self.count()


def builtin_texts() -> tuple[BuiltinText, ...]:
    """Returns the built-in texts, the default one first, without downloading or reading them."""
    reference = "pydoc_data.topics, a part of Python"
    return (
        BuiltinText(
            name=DEFAULT_TEXT,
            description="the Python language reference without tables, grammar and code",
            source=reference,
            present=bool(_topics()),
            count=lambda: len(_prose()) or None,
        ),
        BuiltinText(
            name=_WHOLE_REFERENCE,
            description="the Python language reference, as `help()` shows it",
            source=reference,
            present=bool(_topics()),
            count=lambda: len(_reference()) or None,
        ),
        BuiltinText(
            name="python-source",
            description="the source code of Python's standard library",
            source="the standard library's .py files",
            present=next(_source_files(), None) is not None,
            count=lambda: None,
        ),
        BuiltinText(
            name="nietzsche",
            description="Nietzsche, Beyond Good and Evil: the text of the classic Keras example",
            source=NIETZSCHE.url,
            present=_cached_size() == NIETZSCHE.size,
            count=lambda: NIETZSCHE_CHARACTERS,
        ),
    )


def builtin_documents(name: str, *, offline: bool) -> Callable[[], Iterator[Document]] | None:
    """Returns a function that yields the documents of a built-in text; None for an unknown name.

    Raises:
        DownloadError: the text is not downloaded yet, and `offline` forbids it.
        CorpusError: this Python came without the text.
    """
    of_the_reference = {DEFAULT_TEXT: _prose, _WHOLE_REFERENCE: _reference}
    if name in of_the_reference:
        if not _topics():
            raise CorpusError(name, "this Python installation lacks it", "give a text file")
        return partial(_reference_documents, name, of_the_reference[name])
    if name == "python-source":
        if next(_source_files(), None) is None:
            raise CorpusError(name, "this Python installation lacks it", "give a text file")
        return _source_documents
    if name == "nietzsche":
        if offline and _cached_size() != NIETZSCHE.size:
            raise refuse(NIETZSCHE, "is not on this machine, and --offline forbids the download")
        return partial(_nietzsche_documents, offline=offline)
    return None


@cache
def _topics() -> tuple[str, ...]:
    """Returns the topics of Python's reference, in the order of their names."""
    if importlib.util.find_spec("pydoc_data") is None:
        return ()
    try:
        from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte that few need
    except ImportError:
        return ()
    return tuple(topics[key].strip("\n") for key in sorted(topics))


@cache
def _reference() -> str:
    return "\n\n".join(_topics()) + "\n" if _topics() else ""


@cache
def _prose() -> str:
    return prose_of(_topics()) if _topics() else ""


def _reference_documents(label: str, text: Callable[[], str]) -> Iterator[Document]:
    data = text().encode()
    yield Document(label=label, chunks=lambda: iter([data]), size=len(data), encoding="utf-8")


def _source_files() -> Iterator[Path]:
    waiting = [Path(sysconfig.get_path("stdlib"))]
    while waiting:
        path = waiting.pop()
        is_source = False
        with contextlib.suppress(OSError):  # the text leaves out unreadable folders
            if path.is_dir():
                names = [entry for entry in path.iterdir() if entry.name not in _NOT_SOURCE]
                waiting.extend(sorted(names, reverse=True))
            else:
                is_source = path.suffix == ".py" and path.is_file()
        if is_source:
            yield path


def _source_documents() -> Iterator[Document]:
    for path in _source_files():
        try:
            data = path.read_bytes()
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            data.decode(encoding)
        except (OSError, SyntaxError, UnicodeError, LookupError):
            continue
        yield Document(
            label=str(path),
            chunks=partial(read_chunks, path, str(path)),
            size=len(data),
            encoding=encoding,
        )


def _cached_size() -> int | None:
    try:
        return (cache_folder() / NIETZSCHE.name).stat().st_size
    except OSError:
        return None


def _nietzsche_documents(*, offline: bool) -> Iterator[Document]:
    yield Document(
        label="nietzsche",
        chunks=partial(_nietzsche_chunks, offline=offline),
        size=NIETZSCHE.size,
        encoding="utf-8",
    )


def _nietzsche_chunks(*, offline: bool) -> Iterator[bytes]:
    folder = cache_folder()
    if not NIETZSCHE.is_in(folder):
        if offline:
            raise refuse(
                NIETZSCHE, "is damaged on this machine, and --offline forbids the download"
            )
        for _ in fetch(NIETZSCHE, folder):
            yield b""
    yield from read_chunks(folder / NIETZSCHE.name, "nietzsche")
