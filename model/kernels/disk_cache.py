"""A disk cache of compiled functions, in folders that only this user may enter. Numba.

An entry is unpickled and run. Therefore its file and its folder must belong to this user, no other
account may have rights to them, and its digest must match. Otherwise the function is compiled and
saved again. An entry is one file: a SHA-256 digest, and the bytes that it is the digest of.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import llvmlite  # type: ignore[import-untyped]
import numba
from numba.core.caching import NullCache

from corpus.files.cache_folder import cache_folders
from corpus.files.removal import remove_file

PACKAGE: Final = Path(__file__).parent
SUFFIX: Final = ".nbc"
UNFINISHED_FILES: Final = re.compile(r"[A-Za-z0-9_.]*-[0-9a-f]{16}\.nbc\.[0-9a-f]{16}\.tmp")
_DIGEST: Final = hashlib.sha256().digest_size
_NUMBA: Final[Any] = numba
"""Numba without types: its internals have none."""
_OTHERS: Final = 0o077
"""Permission bits of other accounts."""


class KernelCache(NullCache):
    """The entries of one function: one for each signature and kind of processor."""

    def __init__(self, function: Callable[..., Any], stamp: Callable[[], object]) -> None:
        """Reads nothing yet.

        Args:
            function: the Python function.
            stamp: changes with everything that the compiled code depends on besides the function.
        """
        self._function = function
        self._stamp = stamp

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Returns the compiled code of a signature; None if there is none, or if it is damaged."""
        codegen = target_context.codegen()
        key = self._key(sig, codegen)
        for folder in _folders():
            payload = _verified(_content(folder, self._name(sig, codegen)), key)
            if payload is not None:
                # `refresh`, which Numba calls here, also imports all that it needs to compile. Code
                # that is compiled needs its memory allocator alone.
                _NUMBA.core.runtime.rtsys.initialize(target_context)
                parts = pickle.loads(payload)  # noqa: S301 - this user wrote it, see `_verified`
                return _NUMBA.core.compiler.CompileResult._rebuild(target_context, *parts)  # noqa: SLF001
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Saves the compiled code of a signature in the first folder that can be written to."""
        if data.lifted or data.library.has_dynamic_globals:
            return
        payload = _NUMBA.core.serialize.dumps(data._reduce())  # noqa: SLF001
        rest = self._key(sig, data.codegen) + payload
        for folder in _folders(make=True):
            with contextlib.suppress(OSError):
                _write(folder, self._name(sig, data.codegen), hashlib.sha256(rest).digest() + rest)
                return

    def _name(self, sig: Any, codegen: Any) -> str:
        """Returns a file name that is independent of sources: stale entries are replaced."""
        function = f"{self._function.__module__}.{self._function.__qualname__}"
        identity = str(PACKAGE), sig, codegen.magic_tuple(), sys.implementation.cache_tag
        digest = hashlib.sha256(repr(identity).encode()).hexdigest()
        return f"{re.sub(r'[^A-Za-z0-9_.]', '', function)[:100]}-{digest[:16]}{SUFFIX}"

    def _key(self, sig: Any, codegen: Any) -> bytes:
        """Returns a digest of everything that the compiled code depends on."""
        cells = tuple(cell.cell_contents for cell in self._function.__closure__ or ())
        versions = numba.__version__, llvmlite.__version__, sys.version
        code = self._function.__code__.co_code, _NUMBA.core.serialize.dumps(cells)
        depends_on = sig, codegen.magic_tuple(), versions, code, self._stamp()
        return hashlib.sha256(repr(depends_on).encode()).digest()


def _places() -> Iterator[Path]:
    """Yields cache folders, the preferred one first."""
    chosen = _NUMBA.config.CACHE_DIR  # $NUMBA_CACHE_DIR
    yield Path(chosen) / "charlm-tui" if chosen else PACKAGE / "__pycache__" / "kernels"
    yield from (folder / "kernels" for folder in cache_folders(usual=not chosen))


def _folders(*, make: bool = False) -> Iterator[int]:
    """Yields handles of the folders that only this user may enter; ``make`` creates them."""
    for path in _places():
        with contextlib.suppress(OSError), _opened(path, make=make) as folder:
            yield folder


@contextmanager
def _opened(path: Path, *, make: bool) -> Iterator[int]:
    """Opens a folder for the duration of a ``with`` block; yields its handle.

    Raises:
        OSError: it cannot be opened, or other accounts have rights to it.
    """
    if make:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _require_own(os.fstat(folder))
        yield folder
    finally:
        os.close(folder)


def _require_own(status: os.stat_result) -> None:
    """Raises ``PermissionError`` if another account owns it or has rights to it."""
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
        raise PermissionError("other accounts have rights to it")


def _content(folder: int, name: str) -> bytes | None:
    """Returns the content of a file in a folder; None if it is missing or cannot be trusted."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(name, "rb", opener=lambda path, _: os.open(path, flags, dir_fd=folder)) as file:
            status = os.fstat(file.fileno())
            _require_own(status)
            return file.read() if stat.S_ISREG(status.st_mode) else None
    except OSError:
        return None


def _verified(content: bytes | None, key: bytes) -> bytes | None:
    """Returns an entry's compiled code; None if it is damaged or has another key."""
    if content is None or hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        return None
    rest = content[_DIGEST:]
    return rest[len(key) :] if rest.startswith(key) else None


def _write(folder: int, name: str, content: bytes) -> None:
    """Writes a file atomically, by renaming a temporary one.

    Raises:
        OSError: it cannot be written; the temporary file is removed.
    """
    temporary = f"{name}.{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(content)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        remove_file(Path(temporary), UNFINISHED_FILES, folder=folder)
        raise
