"""C13: file systems without a nicety. What they refuse is said once, and the work goes on.

A library that is loaded before the C library refuses one request at a time, in the real program.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_server import CommandServer, Done, Request
from terminal_harness import TINY, make_environment, make_words

SOURCE = Path(__file__).parents[1] / "support" / "refusals.c"
SYNC, LOCK = "files cannot be synced there", "files cannot be locked there"
ROOM, REPLACE = "room cannot be reserved there", "a file cannot be replaced in one step there"
REFUSALS = [
    ("fsync_folder", errno.EINVAL, SYNC),
    ("fsync_folder", errno.ENOTSUP, SYNC),
    ("fsync_folder", errno.EACCES, SYNC),
    ("flock", errno.ENOLCK, LOCK),
    ("flock", errno.ENOTSUP, LOCK),
    ("flock", errno.ENOSYS, LOCK),
    ("fallocate", errno.EOPNOTSUPP, ROOM),
    ("fallocate", errno.EINVAL, ROOM),
    ("rename_over", errno.EPERM, ""),
    ("rename_over", errno.EEXIST, ""),
    ("link", errno.EPERM, ""),
    ("link", errno.ENOTSUP, ""),
]
"""A request, what is answered, and what a training says of it: nothing where it needs it not."""


class Refusing:
    """The program on a file system that refuses one request."""

    def __init__(self, server: CommandServer, home: Path, request: str, answer: int) -> None:
        self.home = home
        self._server = server
        self._environment = make_environment(
            home, CHARLM_CACHE=str(home / "cache"), REFUSE=request, REFUSAL=str(answer)
        )

    def __call__(self, *arguments: str) -> Done:
        return self._server.run(
            Request(arguments=arguments, folder=str(self.home), environment=self._environment)
        )

    def events(self, *arguments: str) -> list[dict[str, Any]]:
        done = self(*arguments)
        assert done.status == 0, done.complaint
        assert done.complaint == ""
        return [json.loads(line) for line in done.output.splitlines()]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a library that refuses")
    path = tmp_path_factory.mktemp("library") / "refusals.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(path), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the library that refuses cannot be made here: {done.stderr[:200]}")
    return path


@pytest.fixture(scope="module")
def server(library: Path) -> Iterator[CommandServer]:
    with CommandServer(LD_PRELOAD=str(library)) as server:
        yield server


@pytest.mark.parametrize(
    ("request_", "answer", "words"),
    REFUSALS,
    ids=[f"{request} {errno.errorcode[answer]}" for request, answer, _ in REFUSALS],
)
def test_a_training_goes_on_without_a_nicety_and_says_so_once(
    request_: str, answer: int, words: str, server: CommandServer, tmp_path: Path
) -> None:
    charlm = Refusing(server, tmp_path, request_, answer)
    (tmp_path / "words.txt").write_text(make_words(3000), encoding="utf-8")
    for arguments in (
        ("train", "words.txt", "--run", "one", *TINY, "--epochs", "1"),
        ("train", "--resume", "--run", "one", "--epochs", "2"),
    ):
        events = charlm.events(*arguments, "--json")
        warnings = [event["text"] for event in events if event["event"] == "warning"]
        if words:
            (warning,) = warnings
            assert words in warning
            assert os.strerror(answer) in warning
        else:
            assert warnings == []
        assert any(event["event"] == "checkpoint" for event in events)
        assert events[-1]["reason"] == "completed"
    folder = tmp_path / "runs" / "one"
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    recorded = [json.loads(line) for line in lines]
    assert sum(event["event"] == "warning" for event in recorded) == (2 if words else 0)
    assert not [path.name for path in folder.iterdir() if ".tmp-" in path.name]


@pytest.mark.parametrize("answer", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_without_locks_a_finished_run_is_not_called_training(
    answer: int, server: CommandServer, tmp_path: Path
) -> None:
    charlm = Refusing(server, tmp_path, "flock", answer)
    (tmp_path / "words.txt").write_text(make_words(3000), encoding="utf-8")
    charlm.events("train", "words.txt", "--run", "one", *TINY, "--epochs", "1", "--json")
    done = charlm("runs", "--json")
    assert (done.status, json.loads(done.output)["state"]) == (0, "finished")
    assert done.complaint.count("\n") == 1
    assert f"warning: {tmp_path}/runs/one: {LOCK}" in done.complaint


@pytest.mark.parametrize(("request_", "answer"), [refusal[:2] for refusal in REFUSALS])
def test_an_export_over_an_older_one_goes_on(
    request_: str, answer: int, server: CommandServer, tmp_path: Path
) -> None:
    plain = Refusing(server, tmp_path, "", 0)
    (tmp_path / "words.txt").write_text(make_words(3000), encoding="utf-8")
    plain.events("train", "words.txt", "--run", "one", *TINY, "--epochs", "1", "--json")
    charlm = Refusing(server, tmp_path, request_, answer)
    for force in ((), ("--force",)):
        done = charlm("export", "one", *force)
        assert done.status == 0, done.complaint
        assert "wrote one.safetensors and one.json" in done.output
        said = {"fsync_folder": SYNC, "rename_over": REPLACE if force else ""}.get(request_, "")
        assert done.complaint.count("\n") == (1 if said else 0), done.complaint
        assert said in done.complaint
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {"words.txt", "one.safetensors", "one.json"}


KEEP = """
import sys, corpus.load, corpus.cache.fingerprint
corpus.load.MAX_IDS_IN_MEMORY, corpus.cache.fingerprint.SECONDS_TO_SETTLE = 1000, -60.0
from corpus import *
from corpus.files.missing_guarantees import take_missing
for name in ("text", "copy", "text"):
    load_corpus(resolve_source(name), CorpusOptions())
print(take_missing())
"""


@pytest.mark.parametrize(
    ("request_", "answer", "says"),
    [
        ("link", errno.EPERM, ""),
        ("link", errno.EXDEV, ""),
        ("rename_over", errno.EPERM, REPLACE),
        ("fallocate", errno.EOPNOTSUPP, ""),
        ("flock", errno.ENOLCK, ""),
        ("fsync_folder", errno.EINVAL, ""),
    ],
)
def test_the_cache_keeps_a_text_all_the_same(
    request_: str, answer: int, says: str, library: Path, tmp_path: Path
) -> None:
    import sys

    import forked

    (tmp_path / "text").write_text(make_words(9000))
    (tmp_path / "copy").write_text(make_words(9000))
    environment = {
        **forked.environment(),
        "LD_PRELOAD": str(library),
        "CHARLM_CACHE": str(tmp_path / "cache"),
        "REFUSE": request_,
        "REFUSAL": str(answer),
    }
    done = subprocess.run(
        [sys.executable, "-c", KEEP],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    suffixes = sorted(path.suffix for path in (tmp_path / "cache" / "texts").iterdir())
    assert suffixes == [".ids", ".json", ".json"]
    assert says in done.stdout if says else done.stdout == "[]\n"
