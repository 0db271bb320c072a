"""One checkpoint file: NumPy tensors and JSON metadata in a safetensors container.

No pickle, so loading runs no code; a SHA-256 over metadata and tensors, because the container
itself does not notice a flipped bit, and one over the metadata alone, so that what is said of a
file without reading its tensors can be trusted too. No torch: generating does not import it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from corpus import Vocabulary
from model.config import ModelConfig, TrainingConfig, from_record, to_record
from model.corpus_source import CorpusSource
from model.errors import CheckpointError, ConfigError
from model.snapshot import WeightSnapshot
from model.storage import write_atomically

FORMAT_VERSION = 1
WEIGHT_PREFIX = "weights."
AVERAGE_PREFIX = "average."
EXPORT = "export"
LARGEST_HEADER = 20 * 2**20
"""Bytes; a vocabulary of every character there is and the names of tensors need less."""
METADATA_KEY, DIGEST_KEY, METADATA_DIGEST_KEY = "charlm", "sha256", "metadata_sha256"

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetadata:
    """What can be known of a checkpoint without reading its tensors."""

    run: str
    step: int
    epoch: int
    nats_per_character: float | None
    """Validation loss of these very weights; None where they were not validated."""
    best_nats_per_character: float | None
    """Lowest validation loss of the run up to this step."""
    seconds: float
    """Training time up to this step."""
    preset: str
    model: ModelConfig
    training: TrainingConfig
    vocabulary: Vocabulary
    source: CorpusSource
    progress: Mapping[str, Any]
    """The trainer's own counters and random states, plain values for JSON."""

    @property
    def best(self) -> bool:
        """Whether these weights had the lowest validation loss of the run when they were saved."""
        return (
            self.nats_per_character is not None
            and self.nats_per_character == self.best_nats_per_character
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Metadata, and tensors under their names; those of the network begin with ``weights.``."""

    metadata: CheckpointMetadata
    tensors: Tensors

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Returns the weights that training goes on from, named as in the network's state dict."""
        return without_prefix(self.tensors, WEIGHT_PREFIX)

    def best_weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Returns those to write and to score with: averaged ones where they were the better."""
        if self.metadata.progress.get("average_leads"):
            return without_prefix(self.tensors, AVERAGE_PREFIX)
        return self.weights()

    def snapshot(self) -> WeightSnapshot:
        """Returns the weights as the sampler wants them."""
        engine = self.metadata.progress.get("engine", {})
        return WeightSnapshot.from_weights(
            self.best_weights(),
            step=self.metadata.step,
            precision=engine.get("precision", "fp32"),
        )


def without_prefix(tensors: Tensors, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Returns the tensors whose names begin with ``prefix``, under the rest of their names."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint durably; ``path`` holds the old file or the new one, never a part.

    Raises:
        CheckpointError: a weight is not finite; nothing is written.
        OSError: the file system refuses; ``path`` is as it was.
    """
    for name, tensor in checkpoint.tensors.items():
        if np.issubdtype(tensor.dtype, np.floating) and not np.isfinite(tensor).all():
            raise CheckpointError(str(path), f"{name} is not finite", "it was not saved")
    write_atomically(path, checkpoint_bytes(checkpoint))


def checkpoint_bytes(checkpoint: Checkpoint, *, exported: bool = False) -> bytes:
    """Returns what a checkpoint's file holds.

    Args:
        checkpoint: what to write.
        exported: whether to write the weights alone, under the names of the network's state dict.
    """
    named = without_prefix(checkpoint.tensors, WEIGHT_PREFIX) if exported else checkpoint.tensors
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in named.items()}
    description = json.dumps(_describe(checkpoint.metadata), ensure_ascii=True)
    header = {
        METADATA_KEY: description,
        METADATA_DIGEST_KEY: hashlib.sha256(description.encode()).hexdigest(),
        DIGEST_KEY: _digest(description, tensors),
    }
    if exported:
        header |= {"kind": EXPORT, "format": "pt"}
    return safetensors.numpy.save(tensors, metadata=header)


def read_metadata(path: Path) -> CheckpointMetadata:
    """Reads and verifies the header alone; of the tensors only that none is cut off.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, has a damaged header or another
            size than its header says, or is of a later version.
    """
    header = _read_header(path)
    return _parse(path, header)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads and verifies a whole checkpoint into private memory (never a map of the file).

    Raises:
        CheckpointError: missing, foreign, damaged anywhere, of a later version, not finite, or
            with tensors that do not fit its own configuration.
    """
    header = _read_header(path)
    metadata = _parse(path, header)
    try:
        data = path.read_bytes()
    except MemoryError as error:
        raise _damaged(path, "is larger than the memory of this machine") from error
    except OSError as error:
        raise _damaged(path, f"cannot be read ({_short(error)})") from error
    return _whole(path, header, metadata, data)


def checkpoint_of_bytes(data: bytes, origin: Path) -> Checkpoint:
    """Returns what `checkpoint_bytes` was given; ``origin`` names it in errors.

    Raises:
        CheckpointError: as `read_checkpoint`.
    """
    raw = data[8 : 8 + int.from_bytes(data[:8], "little")]
    header = _header_of(origin, raw, len(data))
    return _whole(origin, header, _parse(origin, header), data)


def _whole(
    path: Path, header: Mapping[str, str], metadata: CheckpointMetadata, data: bytes
) -> Checkpoint:
    """Returns the checkpoint once its tensors are verified."""
    try:
        tensors = safetensors.numpy.load(data)
    except MemoryError as error:
        raise _damaged(path, "is larger than the memory of this machine") from error
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError) as error:
        raise _damaged(path, f"cannot be read ({_short(error)})") from error
    if _digest(header[METADATA_KEY], tensors) != header.get(DIGEST_KEY):
        raise _damaged(path, "is damaged: its checksum does not match")
    if header.get("kind") == EXPORT:
        tensors = {WEIGHT_PREFIX + name: tensor for name, tensor in tensors.items()}
    _check_weights(path, metadata, tensors)
    return Checkpoint(metadata=metadata, tensors=tensors)


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


def _read_header(path: Path) -> dict[str, str]:
    """Returns the ``__metadata__`` of a safetensors file: 8 bytes of length, then JSON."""
    try:
        status = os.stat(path)  # noqa: PTH116 - must not open a FIFO
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(str(path), "is not a regular file", "name a .safetensors file")
        with path.open("rb") as file:
            length_bytes = file.read(8)
            length = int.from_bytes(length_bytes, "little")
            if not length_bytes:
                raise _damaged(path, "is empty (an interrupted save?)")
            # A length that is a lie must not become a buffer of that size.
            if len(length_bytes) < 8 or length > min(LARGEST_HEADER, status.st_size):
                raise _damaged(path, "is not a charlm checkpoint")
            raw = file.read(length)
    except FileNotFoundError as error:
        raise CheckpointError(
            str(path), "no such checkpoint", "see `charlm-tui runs` for those that exist"
        ) from error
    except OSError as error:
        raise CheckpointError(
            str(path), f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error
    return _header_of(path, raw, status.st_size)


def _header_of(path: Path, raw: bytes, size: int) -> dict[str, str]:
    """Returns the ``__metadata__`` of a file of ``size`` bytes from its JSON."""
    try:
        described = json.loads(raw)
        header = described.pop("__metadata__")
        if not isinstance(header[METADATA_KEY], str):
            raise TypeError
        end = max((int(tensor["data_offsets"][1]) for tensor in described.values()), default=0)
    except (
        ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        raise _damaged(path, "is not a charlm checkpoint") from error
    if size != 8 + len(raw) + end:
        raise _damaged(path, "is cut short or has too much in it (an interrupted copy?)")
    _check_metadata_digest(path, header)
    return dict(header)


def _check_metadata_digest(path: Path, header: Mapping[str, str]) -> None:
    """Refuses metadata that are not those that were written.

    Checkpoints of the first releases have no digest of their own for them. A damaged name of that
    key must not pass for its absence, so no other key may be there.
    """
    if set(header) == {METADATA_KEY, DIGEST_KEY}:
        return
    expected = hashlib.sha256(header[METADATA_KEY].encode(errors="surrogatepass")).hexdigest()
    known = {METADATA_KEY, METADATA_DIGEST_KEY, DIGEST_KEY}
    if header.get("kind") == EXPORT:
        known |= {"kind", "format"}
    if set(header) != known or header[METADATA_DIGEST_KEY] != expected:
        raise _damaged(path, "is damaged: the checksum of its metadata does not match")


def _parse(path: Path, header: Mapping[str, str]) -> CheckpointMetadata:
    try:
        record = json.loads(header[METADATA_KEY])
        version = int(record["format"])
        if version > FORMAT_VERSION:
            raise CheckpointError(
                str(path),
                f"has format {version}, made by a later charlm-tui",
                f"upgrade charlm-tui (this one reads up to format {FORMAT_VERSION})",
            )
        return CheckpointMetadata(
            run=str(record["run"]),
            step=int(record["step"]),
            epoch=int(record["epoch"]),
            nats_per_character=_number_or_none(record["nats_per_character"]),
            best_nats_per_character=_number_or_none(record["best_nats_per_character"]),
            seconds=float(record["seconds"]),
            preset=str(record["preset"]),
            model=from_record(ModelConfig, record["model"]),
            training=from_record(TrainingConfig, record["training"]),
            vocabulary=Vocabulary.from_symbols(record["vocabulary"]),
            source=CorpusSource.from_record(record["corpus"]),
            progress=dict(record["progress"]),
        )
    except (
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, ConfigError
    ) as error:  # fmt: skip
        raise _damaged(path, "holds metadata that make no sense") from error


def _number_or_none(value: Any) -> float | None:
    return None if value is None else float(value)


def _check_weights(path: Path, metadata: CheckpointMetadata, tensors: Tensors) -> None:
    expected = weight_shapes(metadata.model, len(metadata.vocabulary))
    for prefix in (WEIGHT_PREFIX, AVERAGE_PREFIX):
        found = without_prefix(tensors, prefix)
        if found or prefix == WEIGHT_PREFIX or metadata.progress.get("average_leads"):
            _check_shapes(path, found, expected)


def _check_shapes(path: Path, found: Tensors, expected: Mapping[str, tuple[int, ...]]) -> None:
    if odd := sorted(set(expected) ^ set(found)):
        raise _damaged(path, f"has missing or extra tensors: {', '.join(odd[:4])}")
    for name, tensor in found.items():
        if tensor.shape != expected[name] or tensor.dtype != np.float32:
            raise _damaged(path, f"{name} is {tensor.dtype}{list(tensor.shape)}, not float32"
                                 f"{list(expected[name])}")  # fmt: skip
        if not np.isfinite(tensor).all():
            raise _damaged(path, f"{name} is not finite")


def checkpoint_size(model: ModelConfig, training: TrainingConfig, vocabulary_size: int) -> int:
    """Returns about how large a checkpoint is: weights, their average, the optimiser's moments."""
    parameters = sum(math.prod(shape) for shape in weight_shapes(model, vocabulary_size).values())
    copies = 1 + (training.averaging > 0) + (2 if training.optimiser == "adamw" else 1)
    return 4 * copies * parameters


def weight_shapes(model: ModelConfig, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each tensor in the network's state dict."""
    hidden, width = model.hidden, model.embedding or vocabulary_size
    shapes: dict[str, tuple[int, ...]] = {
        "head.weight": (vocabulary_size, hidden),
        "head.bias": (vocabulary_size,),
    }
    if model.embedding:
        shapes["embedding.weight"] = (vocabulary_size, model.embedding)
    for layer in range(model.layers):
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * hidden, width if layer == 0 else hidden)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * hidden, hidden)
        shapes[f"lstm.bias_ih_l{layer}"] = (4 * hidden,)
        shapes[f"lstm.bias_hh_l{layer}"] = (4 * hidden,)
    return shapes


def _digest(description: str, tensors: Tensors) -> str:
    """Returns the SHA-256 of metadata, names, types, shapes and contents, as hex."""
    digest = hashlib.sha256(description.encode(errors="surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(np.ascontiguousarray(tensor).view(np.uint8).reshape(-1).data)
    return digest.hexdigest()


def _damaged(path: Path, cause: str) -> CheckpointError:
    return CheckpointError(str(path), cause, "use another checkpoint (`charlm-tui runs` has them)")


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
