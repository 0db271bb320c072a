"""One checkpoint file: NumPy tensors and JSON metadata in a safetensors container.

No pickle, so loading runs no code; a SHA-256 over metadata and tensors, because the container
itself does not notice a flipped bit, and one over the metadata alone, so that what is said of a
file without reading its tensors can be trusted too. A checksum says nothing of who made it, so
everything is compared with ``model.runs.checkpoint_form`` as well, and all sizes are before a
tensor is read. No torch: generating does not import it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import safetensors.numpy

from corpus import Vocabulary
from corpus.files.json_values import odd, real, record, text, whole
from model.config import ConfigT, ModelConfig, TrainingConfig, from_record, to_record
from model.errors import CheckpointError, ConfigError
from model.runs.checkpoint import Checkpoint, CheckpointMetadata, without_prefix
from model.runs.checkpoint_form import (
    AVERAGE_PREFIX,
    WEIGHT_PREFIX,
    CheckpointForm,
    Listed,
    Tensors,
    listing_of,
    require_progress,
)
from model.runs.corpus_record import CorpusSource
from model.runs.storage import write_atomically
from model.system.memory import free_memory

FORMAT_VERSION = 1
EXPORT = "export"
LARGEST_HEADER = 2**20
"""Bytes; the largest vocabulary that is trained on and the names of tensors need less."""
METADATA_KEY, DIGEST_KEY, METADATA_DIGEST_KEY = "charlm", "sha256", "metadata_sha256"
LARGE = 2**28
"""Bytes from which on it is asked whether there is memory for them."""
LARGEST_NUMBER = 1e12
"""Of nats and of seconds."""

_TYPES = {"F32": "float32", "U8": "uint8"}
"""The types that tensors have, as the container and as NumPy call them."""


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint durably; ``path`` holds the old file or the new one, never a part.

    Raises:
        CheckpointError: it could not be read back, as a weight is not finite; nothing is written.
        OSError: the file system refuses; ``path`` is as it was.
    """
    try:
        data = checkpoint_bytes(checkpoint)
    except ValueError as error:
        raise CheckpointError(str(path), str(error), "it was not saved") from error
    write_atomically(path, data)


def checkpoint_bytes(checkpoint: Checkpoint, *, exported: bool = False) -> bytes:
    """Returns what a checkpoint's file holds.

    Args:
        checkpoint: what to write.
        exported: whether to write the weights alone, under the names of the network's state dict.

    Raises:
        ValueError: it is not what the settings imply.
    """
    tensors = {name: np.ascontiguousarray(value) for name, value in checkpoint.tensors.items()}
    listing = listing_of(tensors)
    description = json.dumps(_describe(checkpoint.metadata), ensure_ascii=True, allow_nan=False)
    form = _form(_parsed(description, listing), listing)
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
    if int.from_bytes(data[:8], "little") > LARGEST_HEADER:
        raise ValueError("what is said of the run is too long for a checkpoint")
    return data


def read_metadata(path: Path) -> CheckpointMetadata:
    """Reads and verifies the header alone; of the tensors only their names, types and sizes.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, has a damaged header, another size
            than its header says or its settings imply, or is of a later version.
    """
    with _opened(path) as (file, size):
        return _Reader(path, file, size).metadata


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads and verifies a whole checkpoint into private memory (never a map of the file).

    Raises:
        CheckpointError: missing, foreign, damaged anywhere, of a later version, not finite, or
            with tensors that do not fit its own configuration.
    """
    with _opened(path) as (file, size):
        return _Reader(path, file, size).checkpoint()


def checkpoint_of_bytes(data: bytes, origin: Path) -> Checkpoint:
    """Returns what `checkpoint_bytes` was given; ``origin`` names it in errors.

    Raises:
        CheckpointError: as `read_checkpoint`.
    """
    return _Reader(origin, io.BytesIO(data), len(data)).checkpoint()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedIOBase, int]]:
    """Opens a regular file, which never waits; yields it and its size.

    Raises:
        CheckpointError: it is missing, no regular file, or cannot be read.
    """
    try:
        _require_regular(path, os.stat(path))  # noqa: PTH116 - opening some devices does something
        with open(path, "rb", opener=_without_waiting) as file:
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


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(str(path), "is not a regular file", "name a .safetensors file")


class _Reader:
    """One file that is read: header, metadata, sizes, and only then tensors."""

    def __init__(self, path: Path, file: io.BufferedIOBase, size: int) -> None:
        """Reads the header, and verifies all that can be without the tensors."""
        self._path = path
        self._file = file
        length_bytes = file.read(8)
        length = int.from_bytes(length_bytes, "little")
        if not length_bytes:
            self._refuse("is empty (an interrupted save?)")
        # A length that is a lie must not become a buffer of that size.
        if len(length_bytes) < 8 or length > min(LARGEST_HEADER, size):
            self._refuse("is not a charlm checkpoint")
        raw = file.read(length)
        self._header, self._places = self._described(raw)
        self._size = max((place.stop for place in self._places.values()), default=0)
        if size != 8 + length + self._size:
            self._refuse("is cut short or has too much in it (an interrupted copy?)")
        self._check_metadata_digest()
        self.metadata = self._parse()
        self._form = _form(self.metadata, self._listing)
        try:
            self._form.require(self._listing)
        except ValueError as error:
            self._refuse(str(error), error)
        self._require_no_holes()

    def checkpoint(self) -> Checkpoint:
        """Reads the tensors and verifies them.

        Raises:
            CheckpointError: they are damaged, or not finite.
        """
        free = free_memory() if self._size > LARGE else None
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
        """What an exported file leaves out of its tensors' names."""
        return WEIGHT_PREFIX if self._header.get("kind") == EXPORT else ""

    def _described(self, raw: bytes) -> tuple[dict[str, str], dict[str, slice]]:
        """Returns the ``__metadata__`` of a file and where its tensors are, from its JSON."""
        try:
            described = json.loads(raw)
            header = described.pop("__metadata__")
            if not isinstance(header[METADATA_KEY], str):
                raise TypeError
            prefix = WEIGHT_PREFIX if header.get("kind") == EXPORT else ""
            self._listing: dict[str, Listed] = {}
            places = {}
            for name, tensor in described.items():
                listed = Listed(_TYPES[tensor["dtype"]], tuple(map(_count, tensor["shape"])))
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
        """Refuses metadata that are not those that were written.

        Checkpoints of the first releases have no digest of their own for them. A damaged name of
        that key must not pass for its absence, so no other key may be there.
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

    def _parse(self) -> CheckpointMetadata:
        try:
            return _parsed(self._header[METADATA_KEY], self._listing)
        except _LaterFormat as error:
            raise CheckpointError(
                str(self._path),
                f"has format {error}, made by a later charlm-tui",
                f"upgrade charlm-tui (this one reads up to format {FORMAT_VERSION})",
            ) from error
        except (
            ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
        ) as error:  # fmt: skip
            self._refuse(f"holds metadata that make no sense ({_short(error)})", error)

    def _require_no_holes(self) -> None:
        """Refuses tensors that overlap, or have something between them, or lie across words."""
        end = 0
        for place in sorted(self._places.values(), key=lambda place: place.start):
            if place.start != end or place.start % 4:
                self._refuse("is damaged: its tensors do not lie in a row")
            end = place.stop

    def _refuse(self, cause: str, error: Exception | None = None) -> NoReturn:
        remedy = "use another checkpoint (`charlm-tui runs` has them)"
        raise CheckpointError(str(self._path), cause, remedy) from error


def _count(value: object) -> int:
    return whole("a size", value)


class _LaterFormat(Exception):  # noqa: N818 - a fact
    """The metadata are of a later version; its number is all that is known."""


def _describe(metadata: CheckpointMetadata) -> dict[str, Any]:
    return {
        "format": FORMAT_VERSION,
        "run": metadata.run,
        "step": metadata.step,
        "epoch": metadata.epoch,
        "nats_per_character": metadata.nats_per_character,
        "best_nats_per_character": metadata.best_nats_per_character,
        "seconds": metadata.seconds,
        "preset": metadata.preset,
        "model": to_record(metadata.model),
        "training": to_record(metadata.training),
        "vocabulary": "".join(metadata.vocabulary.symbols),
        "corpus": metadata.source.to_record(),
        "progress": dict(metadata.progress),
    }


def _parsed(description: str, listing: Mapping[str, Listed]) -> CheckpointMetadata:
    """Returns the metadata that `_describe` wrote, once all of it is right.

    Args:
        description: JSON.
        listing: the tensors that they are said of.

    Raises:
        _LaterFormat: only a later version knows what they mean.
        ValueError: something in it makes no sense; or KeyError, TypeError, ...
    """
    said = record("metadata", json.loads(description, parse_constant=_no_number))
    version = whole("format", said["format"], 1)
    if version > FORMAT_VERSION:
        raise _LaterFormat(version)
    step, epoch = whole("step", said["step"]), whole("epoch", said["epoch"])
    progress = record("progress", said["progress"])
    require_progress(progress, step=step, epoch=epoch, goes_on=_goes_on(listing))
    nats, best = _nats("nats_per_character", said), _nats("best_nats_per_character", said)
    if nats is not None and (best is None or best > nats):
        raise ValueError(odd("best_nats_per_character", best))
    return CheckpointMetadata(
        run=text("run", said["run"]),
        step=step,
        epoch=epoch,
        nats_per_character=nats,
        best_nats_per_character=best,
        seconds=real("seconds", said["seconds"], 0, LARGEST_NUMBER),
        preset=text("preset", said["preset"]),
        model=_settings(ModelConfig, said["model"]),
        training=_settings(TrainingConfig, said["training"]),
        vocabulary=Vocabulary.from_symbols(text("vocabulary", said["vocabulary"])),
        source=CorpusSource.from_record(record("corpus", said["corpus"])),
        progress=progress,
    )


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"a number is {name}")


def _nats(name: str, said: Mapping[str, Any]) -> float | None:
    value = said[name]
    return None if value is None else real(name, value, 0, sys.float_info.max)


def _settings(kind: type[ConfigT], said: object) -> ConfigT:
    try:
        return from_record(kind, dict(record(kind.__name__, said)))
    except ConfigError as error:
        raise ValueError(f"{error.subject.removeprefix('--')}: {error.cause}") from error


def _goes_on(listing: Mapping[str, Listed]) -> bool:
    """Whether a training can go on from these tensors; otherwise they are weights alone."""
    return any(not name.startswith((WEIGHT_PREFIX, AVERAGE_PREFIX)) for name in listing)


def _form(metadata: CheckpointMetadata, listing: Mapping[str, Listed]) -> CheckpointForm:
    return CheckpointForm(
        metadata.model,
        metadata.training,
        len(metadata.vocabulary),
        average_leads=bool(metadata.progress.get("average_leads")),
        goes_on=_goes_on(listing),
    )


def _digest(description: str, tensors: Tensors) -> str:
    """Returns the SHA-256 of metadata, names, types, shapes and contents, as hex."""
    digest = hashlib.sha256(description.encode(errors="surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(np.ascontiguousarray(tensor).view(np.uint8).reshape(-1).data)
    return digest.hexdigest()


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
