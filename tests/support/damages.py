"""Ways in which a checkpoint can be damaged, forged or something else altogether."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from model_fixtures import make_training_checkpoint, write_forged

from model.runs.checkpoint import FORMAT_VERSION, Checkpoint

PAGE = 4096

Damage = Callable[["Forger"], None]


class RunsCode:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (os.system, (f"touch '{self.canary}'",))


@dataclasses.dataclass(slots=True)
class Forger:
    """Puts something in the place of a good checkpoint."""

    path: Path
    good: bytes
    random: random.Random
    canary: Path

    def header(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.good[8 : self.data_start])
        return record

    @property
    def data_start(self) -> int:
        return 8 + int.from_bytes(self.good[:8], "little")

    def write_with_header(self, header: object, data: bytes | None = None) -> None:
        """Writes a header of our own before the data."""
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        data = self.good[self.data_start :] if data is None else data
        self.path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)

    def some_tensor(self, checkpoint: Checkpoint) -> str:
        return self.random.choice(sorted(checkpoint.tensors))

    def changed(self, change: Callable[[dict[str, Any], str], None]) -> Checkpoint:
        """Returns a checkpoint with one tensor changed."""
        checkpoint = make_training_checkpoint(self.random.randrange(1, 1000))
        tensors = dict(checkpoint.tensors)
        change(tensors, self.some_tensor(checkpoint))
        return dataclasses.replace(checkpoint, tensors=tensors)


def truncated(it: Forger) -> None:
    it.path.write_bytes(it.good[: it.random.randrange(len(it.good))])


def _flipped(it: Forger, first: int, end: int) -> None:
    data = bytearray(it.good)
    data[it.random.randrange(first, end)] ^= 1 << it.random.randrange(8)
    it.path.write_bytes(data)


def bit_flipped_in_data(it: Forger) -> None:
    _flipped(it, it.data_start, len(it.good))


def bit_flipped_in_header(it: Forger) -> None:
    _flipped(it, 0, it.data_start)


def page_zeroed(it: Forger) -> None:
    pages = len(it.good) // PAGE
    start = it.random.randrange(pages) * PAGE
    it.path.write_bytes(it.good[:start] + bytes(PAGE) + it.good[start + PAGE :])


def all_zeroed(it: Forger) -> None:
    it.path.write_bytes(bytes(len(it.good)))


def bytes_added(it: Forger) -> None:
    it.path.write_bytes(it.good + it.random.randbytes(it.random.randrange(1, 5000)))


def tensors_swapped(it: Forger) -> None:
    header = it.header()
    names = it.random.sample(sorted(set(header) - {"__metadata__"}), 2)
    header[names[0]], header[names[1]] = header[names[1]], header[names[0]]
    it.write_with_header(header)


def contents_swapped(it: Forger) -> None:
    header, data = it.header(), bytearray(it.good[it.data_start :])
    (a, b), (c, d) = (
        header[name]["data_offsets"]
        for name in ("weights.lstm.bias_ih_l0", "weights.lstm.bias_hh_l0")
    )
    data[a:b], data[c:d] = data[c:d], data[a:b]
    it.write_with_header(header, bytes(data))


def shape_wrong(it: Forger) -> None:
    def change(tensors: dict[str, Any], name: str) -> None:
        tensors[name] = np.zeros((*tensors[name].shape, 2), np.float32)

    write_forged(it.path, it.changed(change))


def dtype_wrong(it: Forger) -> None:
    def change(tensors: dict[str, Any], name: str) -> None:
        dtype = it.random.choice([np.float64, np.float16, np.int32, np.int8])
        tensors[name] = tensors[name].astype(dtype)

    write_forged(it.path, it.changed(change))


def tensor_missing(it: Forger) -> None:
    write_forged(it.path, it.changed(lambda tensors, name: tensors.pop(name)))


def tensor_extra(it: Forger) -> None:
    def change(tensors: dict[str, Any], name: str) -> None:
        tensors[f"{name}.again"] = tensors[name]

    write_forged(it.path, it.changed(change))


def not_finite(it: Forger) -> None:
    def change(tensors: dict[str, Any], name: str) -> None:
        name = next(n for n in (name, *sorted(tensors)) if tensors[n].dtype == np.float32)
        spoilt = tensors[name].copy()
        spoilt.flat[it.random.randrange(spoilt.size)] = it.random.choice([np.nan, np.inf, -np.inf])
        tensors[name] = spoilt

    write_forged(it.path, it.changed(change))


def format_of_the_future(it: Forger) -> None:
    later = FORMAT_VERSION + it.random.randrange(1, 9)
    write_forged(it.path, make_training_checkpoint(), format=later)


def header_of_eight_exabytes(it: Forger) -> None:
    length = it.random.choice([2**63, 2**64 - 1, 2**63 - 1])
    it.path.write_bytes(length.to_bytes(8, "little") + it.good[8:])


def header_of_a_hundred_megabytes(it: Forger) -> None:
    """The length is a lie; and, on a sparse file, none."""
    with it.path.open("wb") as file:
        file.write((100 * 2**20 + 1).to_bytes(8, "little") + it.good[8:])
        if it.random.random() < 0.5:
            file.truncate(101 * 2**20)


def elements_without_end(it: Forger) -> None:
    """10^12 of them; and, on a sparse file, the bytes for them are there."""
    header = it.header()
    name = it.random.choice(sorted(set(header) - {"__metadata__"}))
    header[name]["shape"] = [10**6, 10**6]
    sparse = it.random.random() < 0.5
    if sparse:
        start = max(
            item["data_offsets"][1] for key, item in header.items() if key != "__metadata__"
        )
        header[name]["data_offsets"] = [start, start + 4 * 10**12]
    it.write_with_header(header)
    if sparse:
        raw = len(json.dumps(header).encode())
        with it.path.open("r+b") as file:
            file.truncate(8 + raw + start + 4 * 10**12)


def offsets_overlapping(it: Forger) -> None:
    header = it.header()
    name = it.random.choice(sorted(set(header) - {"__metadata__"}))
    size = header[name]["data_offsets"][1] - header[name]["data_offsets"][0]
    others = [n for n in header if n not in {"__metadata__", name}]
    start = header[it.random.choice(others)]["data_offsets"][0]
    header[name]["data_offsets"] = [start, start + size]
    it.write_with_header(header)


def offsets_with_a_hole(it: Forger) -> None:
    header, hole = it.header(), it.random.randrange(4, 400, 4)
    for name, item in header.items():
        if name != "__metadata__" and item["data_offsets"][0] > 0:
            item["data_offsets"] = [offset + hole for offset in item["data_offsets"]]
    data = it.good[it.data_start :]
    it.write_with_header(header, data[:64] + bytes(hole) + data[64:])


def offsets_that_are_nonsense(it: Forger) -> None:
    header = it.header()
    name = it.random.choice(sorted(set(header) - {"__metadata__"}))
    nonsense: list[object] = [[-8, 8], [8, 0], [0], [], None, "0", [0, 1e400], [0, "x"], {}]
    header[name] = it.random.choice(
        [
            {**header[name], "data_offsets": it.random.choice(nonsense)},
            {**header[name], "shape": it.random.choice([[-1], [1.5], None, "x", [10**30]])},
            {**header[name], "dtype": it.random.choice(["F31", None, 7, "BOOL", "BF16"])},
            None,
            [],
        ]
    )
    it.write_with_header(header)


def header_nested(it: Forger) -> None:
    depth = it.random.choice([500, 5_000, 200_000])
    it.write_with_header(it.random.choice([b"[", b'{"a":']) * depth)


def header_of_a_million_names(it: Forger) -> None:
    many = {f"t{number}": {"data_offsets": [0, 0]} for number in range(30_000)}
    it.write_with_header({**it.header(), **many})


def header_of_nineteen_megabytes(it: Forger) -> None:
    """All of it is right JSON of tensors that hold nothing."""
    entry = '"t%06d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
    many = "".join(entry % number for number in range(19 * 2**20 // 60))
    it.write_with_header(("{" + many + json.dumps(it.header())[1:]).encode())


def two_gigabytes_of_holes(it: Forger) -> None:
    """A tensor of that size is listed truthfully, in a sparse file."""
    header = it.header()
    end = len(it.good) - it.data_start
    size = 2**31
    header["weights.more"] = {
        "dtype": "F32", "shape": [size // 4], "data_offsets": [end, end + size]
    }  # fmt: skip
    it.write_with_header(header)
    with it.path.open("r+b") as file:
        file.truncate(it.path.stat().st_size + size)


def pickled(it: Forger) -> None:
    it.path.write_bytes(pickle.dumps(RunsCode(it.canary), protocol=it.random.randrange(6)))


def zipped_by_torch(it: Forger) -> None:
    """As torch.save writes it: a zip archive with a pickle in it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(RunsCode(it.canary), protocol=2))
        file.writestr("archive/version", "3\n")
    it.path.write_bytes(archive.getvalue())


def pickled_in_the_metadata(it: Forger) -> None:
    header = it.header()
    header["__metadata__"]["charlm"] = pickle.dumps(RunsCode(it.canary), 0).decode()
    it.write_with_header(header)


def html(it: Forger) -> None:
    it.path.write_bytes(b"<!DOCTYPE html>\n<html><body>Please log in</body></html>\n" * 20)


def any_bytes(it: Forger) -> None:
    it.path.write_bytes(it.random.randbytes(it.random.randrange(3000)))


def empty(it: Forger) -> None:
    it.path.write_bytes(b"")


def folder(it: Forger) -> None:
    it.path.mkdir()


def pipe(it: Forger) -> None:
    os.mkfifo(it.path)


def loop_of_links(it: Forger) -> None:
    other = it.path.with_name("other")
    other.unlink(missing_ok=True)
    other.symlink_to(it.path)
    it.path.symlink_to(other)


def device(it: Forger) -> None:
    it.path.symlink_to(it.random.choice(["/dev/zero", "/dev/null", "/dev/random"]))


DAMAGES: tuple[Damage, ...] = (
    truncated,
    bit_flipped_in_data,
    bit_flipped_in_header,
    page_zeroed,
    all_zeroed,
    bytes_added,
    tensors_swapped,
    contents_swapped,
    shape_wrong,
    dtype_wrong,
    tensor_missing,
    tensor_extra,
    not_finite,
    format_of_the_future,
    header_of_eight_exabytes,
    header_of_a_hundred_megabytes,
    elements_without_end,
    offsets_overlapping,
    offsets_with_a_hole,
    offsets_that_are_nonsense,
    header_nested,
    header_of_a_million_names,
    header_of_nineteen_megabytes,
    two_gigabytes_of_holes,
    pickled,
    zipped_by_torch,
    pickled_in_the_metadata,
    html,
    any_bytes,
    empty,
    folder,
    pipe,
    loop_of_links,
    device,
)
