"""One checkpoint file: NumPy tensors and JSON metadata in a safetensors container.

The format has no pickle, so loading a file runs no code. One SHA-256 covers metadata and tensors,
because the container does not detect a flipped bit. A second one covers the metadata alone, so
that metadata can be trusted without reading the tensors. A checksum does not prove who wrote the
file. Therefore all values are also compared with ``model.runs.checkpoint_form``, and all sizes are
checked before a tensor is read. No torch, because `generate` does not import it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
import safetensors.numpy

from corpus.files.json_values import whole
from model.errors import CheckpointError
from model.runs.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    CheckpointMetadata,
    LaterFormatError,
    describe_metadata,
    is_resumable,
    parse_metadata,
    without_prefix,
)
from model.runs.checkpoint_form import (
    WEIGHT_PREFIX,
    CheckpointForm,
    Listed,
    Tensors,
    listing_of,
)
from model.runs.storage import write_atomically
from model.system.memory import free_memory

EXPORT = "export"
MAX_HEADER_BYTES = 2**20
"""Enough for the largest vocabulary that can be trained and for the names of all tensors."""
METADATA_KEY, DIGEST_KEY, METADATA_DIGEST_KEY = "charlm", "sha256", "metadata_sha256"
MIN_BYTES_FOR_MEMORY_CHECK = 2**28
"""Tensors larger than this are read only if there is free memory for them."""

_NUMPY_TYPES = {"F32": "float32", "U8": "uint8"}
"""The types that tensors may have: the container's name and NumPy's name."""


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint durably. At any time, ``path`` holds the old file or the new one.

    Raises:
        CheckpointError: a value is not valid, such as a weight that is not finite. Nothing is
            written.
        OSError: the file system refuses. ``path`` is unchanged.
    """
    try:
        data = checkpoint_bytes(checkpoint)
    except ValueError as error:
        raise CheckpointError(str(path), str(error), "it was not saved") from error
    write_atomically(path, data)


def checkpoint_bytes(checkpoint: Checkpoint, *, exported: bool = False) -> bytes:
    """Returns the content of a checkpoint's file.

    Args:
        checkpoint: the values to write.
        exported: whether to write the weights alone, under the names of the network's state dict.

    Raises:
        ValueError: the checkpoint differs from what its settings imply.
    """
    tensors = {name: np.ascontiguousarray(value) for name, value in checkpoint.tensors.items()}
    listing = listing_of(tensors)
    description = json.dumps(
        describe_metadata(checkpoint.metadata), ensure_ascii=True, allow_nan=False
    )
    form = _form(parse_metadata(description, listing), listing)
    form.require(listing)
    form.require_values(tensors)
    if exported:
        tensors = without_prefix(tensors, WEIGHT_PREFIX)
    header = {
        METADATA_KEY: description,
        METADATA_DIGEST_KEY: hashlib.sha256(description.encode()).hexdigest(),
        DIGEST_KEY: _digest(description, tensors),
    }
    if exported:
        header |= {"kind": EXPORT, "format": "pt"}
    data = safetensors.numpy.save(tensors, metadata=header)
    if int.from_bytes(data[:8], "little") > MAX_HEADER_BYTES:
        raise ValueError("the metadata of the run is too long for a checkpoint")
    return data


def read_metadata(path: Path) -> CheckpointMetadata:
    """Reads and verifies the header, with the names, types and shapes of the tensors.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, has a damaged header, has another
            size than its header says or its settings imply, or is of a later version.
    """
    with _opened(path) as (file, size):
        return _Reader(path, file, size).metadata


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads and verifies a checkpoint with all tensors, into memory that is not mapped to the file.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, is damaged, is of a later version,
            holds values that are not finite, or holds tensors that do not fit its settings.
    """
    with _opened(path) as (file, size):
        return _Reader(path, file, size).checkpoint()


def checkpoint_of_bytes(data: bytes, origin: Path) -> Checkpoint:
    """Returns the checkpoint that `checkpoint_bytes` encoded.

    Args:
        data: the content of a checkpoint's file.
        origin: the path to name in errors.

    Raises:
        CheckpointError: for the reasons of `read_checkpoint`.
    """
    return _Reader(origin, io.BytesIO(data), len(data)).checkpoint()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedIOBase, int]]:
    """Opens a regular file without blocking; yields the file and its size in bytes.

    Raises:
        CheckpointError: the file is missing, is not a regular file, or cannot be read.
    """
    try:
        _require_regular(path, os.stat(path))  # noqa: PTH116 - opening a device can have effects
        with open(path, "rb", opener=_open_without_blocking) as file:
            status = os.fstat(file.fileno())
            _require_regular(path, status)
            yield file, status.st_size
    except FileNotFoundError as error:
        raise CheckpointError(
            str(path), "no such checkpoint", "see `charlm-tui runs` for those that exist"
        ) from error
    except OSError as error:
        raise CheckpointError(
            str(path), f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error


def _open_without_blocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(str(path), "is not a regular file", "name a .safetensors file")


class _Reader:
    """Reads one file: the header, the metadata and the sizes first, then the tensors."""

    def __init__(self, path: Path, file: io.BufferedIOBase, size: int) -> None:
        """Reads the header, and verifies everything that does not need the tensors."""
        self._path = path
        self._file = file
        length_bytes = file.read(8)
        length = int.from_bytes(length_bytes, "little")
        if not length_bytes:
            self._refuse("is empty (an interrupted save?)")
        # A false length must not allocate a buffer of that size.
        if len(length_bytes) < 8 or length > min(MAX_HEADER_BYTES, size):
            self._refuse("is not a charlm checkpoint")
        raw = file.read(length)
        self._header, self._places = self._parse_header(raw)
        self._size = max((place.stop for place in self._places.values()), default=0)
        if size != 8 + length + self._size:
            self._refuse("is cut short or has too much in it (an interrupted copy?)")
        self._check_metadata_digest()
        self.metadata = self._parse_metadata()
        self._form = _form(self.metadata, self._listing)
        try:
            self._form.require(self._listing)
        except ValueError as error:
            self._refuse(str(error), error)
        self._require_no_holes()

    def checkpoint(self) -> Checkpoint:
        """Reads the tensors and verifies them.

        Raises:
            CheckpointError: the tensors are damaged, hold a value that is not finite, or need more
                memory than is free.
        """
        free = free_memory() if self._size > MIN_BYTES_FOR_MEMORY_CHECK else None
        if free is not None and self._size > free:
            self._refuse(
                f"needs {self._size / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} are free"
            )
        try:
            data = np.empty(self._size, np.uint8)
            count = self._file.readinto(data.data)
        except MemoryError as error:
            self._refuse("is larger than the memory of this machine", error)
        if count != self._size:
            self._refuse("is cut short (is it being written?)")
        tensors = {
            name: data[place].view(listed.type).reshape(listed.shape)
            for (name, place), listed in zip(
                self._places.items(), self._listing.values(), strict=True
            )
        }
        if _digest(self._header[METADATA_KEY], tensors) != self._header.get(DIGEST_KEY):
            self._refuse("is damaged: its checksum does not match")
        tensors = {self._prefix + name: tensor for name, tensor in tensors.items()}
        try:
            self._form.require_values(tensors)
        except ValueError as error:
            self._refuse(str(error), error)
        return Checkpoint(metadata=self.metadata, tensors=tensors)

    @property
    def _prefix(self) -> str:
        """The prefix that an exported file omits from its tensors' names."""
        return WEIGHT_PREFIX if self._header.get("kind") == EXPORT else ""

    def _parse_header(self, raw: bytes) -> tuple[dict[str, str], dict[str, slice]]:
        """Parses the JSON of a file's header.

        Returns:
            Its ``__metadata__``, and the byte range of each tensor in the data behind the header.
        """
        try:
            tensors = json.loads(raw)
            header = tensors.pop("__metadata__")
            if not isinstance(header[METADATA_KEY], str):
                raise TypeError
            prefix = WEIGHT_PREFIX if header.get("kind") == EXPORT else ""
            self._listing: dict[str, Listed] = {}
            places = {}
            for name, tensor in tensors.items():
                listed = Listed(_NUMPY_TYPES[tensor["dtype"]], tuple(map(_count, tensor["shape"])))
                start, end = map(_count, tensor["data_offsets"])
                if end - start != listed.size:
                    raise ValueError
                self._listing[prefix + name] = listed
                places[name] = slice(start, end)
        except (
            ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError,
            RecursionError,
        ) as error:  # fmt: skip
            self._refuse("is not a charlm checkpoint", error)
        return dict(header), places

    def _check_metadata_digest(self) -> None:
        """Refuses metadata that were changed after they were written.

        Checkpoints of the first releases have no separate digest of the metadata. If the name of
        that key is damaged, the key seems to be absent. Therefore unknown keys are refused.
        """
        header = self._header
        if set(header) == {METADATA_KEY, DIGEST_KEY}:
            return
        expected = hashlib.sha256(header[METADATA_KEY].encode(errors="surrogatepass")).hexdigest()
        known = {METADATA_KEY, METADATA_DIGEST_KEY, DIGEST_KEY}
        if header.get("kind") == EXPORT:
            known |= {"kind", "format"}
        if set(header) != known or header[METADATA_DIGEST_KEY] != expected:
            self._refuse("is damaged: the checksum of its metadata does not match")

    def _parse_metadata(self) -> CheckpointMetadata:
        try:
            return parse_metadata(self._header[METADATA_KEY], self._listing)
        except LaterFormatError as error:
            raise CheckpointError(
                str(self._path),
                f"has format {error}, made by a later charlm-tui",
                f"upgrade charlm-tui (this one reads up to format {FORMAT_VERSION})",
            ) from error
        except (
            ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
        ) as error:  # fmt: skip
            self._refuse(f"holds invalid metadata ({_first_line(error)})", error)

    def _require_no_holes(self) -> None:
        """Refuses tensors that overlap, leave gaps, or do not start at a multiple of 4 bytes."""
        end = 0
        for place in sorted(self._places.values(), key=lambda place: place.start):
            if place.start != end or place.start % 4:
                self._refuse("is damaged: its tensors are not contiguous")
            end = place.stop

    def _refuse(self, cause: str, error: Exception | None = None) -> NoReturn:
        remedy = "use another checkpoint (`charlm-tui runs` has them)"
        raise CheckpointError(str(self._path), cause, remedy) from error


def _count(value: object) -> int:
    return whole("a size", value)


def _form(metadata: CheckpointMetadata, listing: Mapping[str, Listed]) -> CheckpointForm:
    return CheckpointForm(
        metadata.model,
        metadata.training,
        len(metadata.vocabulary),
        average_leads=bool(metadata.progress.get("average_leads")),
        is_student=metadata.progress.get("student_since") is not None,
        resumable=is_resumable(listing),
    )


def _digest(description: str, tensors: Tensors) -> str:
    """Returns the SHA-256 of the metadata and of all tensors' names, types, shapes and values."""
    digest = hashlib.sha256(description.encode(errors="surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(np.ascontiguousarray(tensor).view(np.uint8).reshape(-1).data)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
