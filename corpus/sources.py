"""Resolves an argument to a text: a built-in name, a file, a folder or standard input.

Resolving is cheap. It asks the file system, but reads no content and uses no network. The bytes are
read later, document by document.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from urllib.parse import unquote_to_bytes

from corpus.argument_text import readable
from corpus.corpus import CorpusOptions
from corpus.document import Document, DocumentFile
from corpus.download.builtin import builtin_documents, builtin_texts
from corpus.errors import CorpusError
from corpus.files.access import read_chunks, refusal, require_regular
from corpus.files.places import expand_home
from corpus.folder import folder_documents
from corpus.nearest import nearest
from corpus.standard_input import LABEL, StandardInput

STANDARD_INPUT_NAMES = frozenset({"-", "/dev/stdin", "/dev/fd/0"})

_URL = "file://"

_MAX_NEIGHBOURS = 2000
"""Maximum number of names in a folder that are compared with a misspelt one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A text that was found and not yet read: an ordered sequence of documents."""

    name: str
    """Short, for display: a built-in name, a file's or folder's name, or `stdin`."""

    specification: str
    """The argument that finds the text from any folder: a built-in name, an absolute path, or `-`.
    If a path is not text (its bytes are not in the file system's encoding), it is a `file:` URL."""

    description: str
    """One phrase that describes the text."""

    label: str
    """The name in error messages: the argument as the user wrote it."""

    documents: Callable[[], Iterator[Document]]
    """Yields the documents in a fixed order. In the text, each begins on a new line."""

    is_folder: bool = False
    """Whether the documents are files of a folder, between which a mark may stand."""


def resolve_source(
    specification: str,
    *,
    offline: bool = False,
    stdin_descriptor: int = 0,
    options: CorpusOptions | None = None,
) -> Source:
    """Finds the text that `specification` names.

    A built-in name takes precedence over a file of the same name, which is `./nietzsche` then.

    Args:
        specification: a built-in name, the path of a file or folder, or `-` for standard input.
        offline: whether a text that would have to be downloaded is an error.
        stdin_descriptor: file descriptor of standard input; not 0 if the keyboard was opened as 0.
        options: select the files of a folder by `include` and `exclude`.

    Raises:
        CorpusError: the text is missing, empty, or neither a regular file nor a folder.
        CorpusAccessError: the system refuses access, or the name is too long.
        DownloadError: the text is not on this machine, and `offline` is set.
    """
    if not specification:
        raise CorpusError("CORPUS", "the name is empty", "give a file, a folder or a built-in text")
    if "\0" in specification:
        raise CorpusError("CORPUS", "the name holds a NUL character", "check the name")
    source = _resolved(specification, offline, stdin_descriptor, options or CorpusOptions())
    if options is not None and not source.is_folder:
        for option, patterns in (("--include", options.include), ("--exclude", options.exclude)):
            if patterns:
                raise CorpusError(option, f"{source.label} is no folder", "leave the option out")
    return source


def _resolved(
    specification: str, offline: bool, stdin_descriptor: int, options: CorpusOptions
) -> Source:
    if specification in STANDARD_INPUT_NAMES:
        return Source(
            name="stdin",
            specification="-",
            description=LABEL,
            label=LABEL,
            documents=StandardInput(stdin_descriptor).documents,
        )
    if specification.startswith(_URL):
        # Only `_from_path` writes such a URL, for a path whose bytes are not text.
        return _from_path(os.fsdecode(unquote_to_bytes(specification[len(_URL) :])), options)
    documents = builtin_documents(specification, offline=offline)
    if documents is not None:
        text = next(text for text in builtin_texts() if text.name == specification)
        return Source(
            name=text.name,
            specification=text.name,
            description=text.description,
            label=text.name,
            documents=documents,
        )
    return _from_path(specification, options)


def _from_path(argument: str, options: CorpusOptions) -> Source:
    """Returns the file or folder at a path; raises the errors of `resolve_source`."""
    path = Path(expand_home(argument))
    try:
        status = path.stat()
    except OSError as error:
        raise _missing(path, argument, error) from None
    absolute = path.absolute()
    name = absolute.name if absolute.name not in {"", ".."} else str(absolute.resolve())
    plain_name = readable(name).encode("utf-8", "replace").decode()
    is_text = _is_text(str(absolute))
    is_folder = stat.S_ISDIR(status.st_mode)
    if not is_folder:
        require_regular(argument, status)
        if status.st_size == 0:
            raise CorpusError(argument, "is empty", "give a text that is not empty")
        if not os.access(path, os.R_OK):
            raise refusal(argument, PermissionError(errno.EACCES, "")) from None
    return Source(
        name=plain_name,
        specification=str(absolute) if is_text else absolute.as_uri(),
        description=f"the text files of {plain_name}" if is_folder else f"{status.st_size:,} bytes",
        label=argument,
        documents=partial(folder_documents, absolute, argument, options.include, options.exclude)
        if is_folder
        else partial(_one_file, absolute, argument, status),
        is_folder=is_folder,
    )


def _is_text(path: str) -> bool:
    """Returns whether a path is equal in every locale, because its bytes are UTF-8."""
    try:
        return path.encode() == os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _one_file(path: Path, label: str, status: os.stat_result) -> Iterator[Document]:
    yield Document(
        label=label,
        chunks=partial(read_chunks, path, label),
        size=status.st_size,
        file=DocumentFile(path=path, status=status),
    )


def _missing(path: Path, label: str, error: OSError) -> CorpusError:
    if error.errno != errno.ENOENT:
        return refusal(label, error)
    if path.is_symlink():
        target = str(path.readlink())
        return CorpusError(label, f"points to {target}, which is missing", "name the file itself")
    near = _nearest(path)
    label = label if label.strip() else repr(label)
    remedy = f"did you mean {near}?" if near else "`charlm-tui corpora` lists built-in texts"
    return CorpusError(label, "no such file or built-in text", remedy)


def _nearest(path: Path) -> str | None:
    try:
        neighbours = {
            entry.name: f"./{entry}" if str(entry).startswith("-") else str(entry)
            for entry in islice(path.parent.iterdir(), _MAX_NEIGHBOURS)
        }
    except OSError:
        neighbours = {}
    if path.parent == Path():
        neighbours |= {text.name: text.name for text in builtin_texts()}
    name = nearest(path.name, neighbours)
    return None if name is None else neighbours[name]
