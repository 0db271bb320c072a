"""B2: a run's folder from an archive may hold links, pipes and folders under our names.

What a link leads to keeps its bytes, and the program refuses in one line.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from model_fixtures import make_checkpoint, make_request, of_kind

from corpus.files.atomic_file import create_temporary
from corpus.files.regular_file import NotRegularError, open_regular, open_to_append
from model.errors import CheckpointError, RunFolderError
from model.events import CheckpointSaved, SaveFailed, WarningRaised
from model.runs.folder import RunFolder
from model.runs.storage import append_whole, cut_off, require_room, write_atomically
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun
from tui.terminal.without_screen import WithoutScreen

PRECIOUS = b"a thesis\n"
PLAIN = [".lock", "run.json", "metrics.jsonl", "samples.jsonl", "train.log"]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda path, victim: path.symlink_to(victim),
    "dangling link": lambda path, victim: path.symlink_to(victim.with_name("new")),
    "pipe": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "thesis.txt"
    path.write_bytes(PRECIOUS)
    return path


def assert_unharmed(victim: Path) -> None:
    assert victim.read_bytes() == PRECIOUS
    assert not victim.with_name("new").exists(), "a dangling link was written through"


def saved_run(root: Path) -> RunFolder:
    folder = RunFolder.create(root, "tiny", fallback_name="")
    folder.write_description({"run": "tiny"})
    folder.record.append_line("metrics.jsonl", '{"event": "step", "step": 9}')
    folder.checkpoints.save(make_checkpoint(1))
    folder.unlock()
    return folder


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_something_else_under_our_names_is_not_written(
    kind: str, name: str, tmp_path: Path, victim: Path
) -> None:
    folder = saved_run(tmp_path / "runs")
    path = folder.path / name
    path.unlink(missing_ok=True)
    KINDS[kind](path, victim)
    with pytest.raises(RunFolderError, match=r"is a (symbolic link|named pipe|folder)") as caught:
        RunFolder(folder.path).lock()
    assert str(caught.value).startswith(f"{path}: is a ")
    assert "\n" not in str(caught.value)
    assert_unharmed(victim)


@pytest.mark.parametrize("name", [".lock", "run.json", "metrics.jsonl", "samples.jsonl"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_run_does_not_begin_in_a_prepared_folder(
    kind: str, name: str, tmp_path: Path, victim: Path
) -> None:
    path = tmp_path / "runs" / "tiny"
    path.mkdir(parents=True)
    (path / ".lock").touch()
    (path / name).unlink(missing_ok=True)
    KINDS[kind](path / name, victim)
    with pytest.raises(RunFolderError, match=r"is a (symbolic link|named pipe|folder)"):
        RunFolder.create(path.parent, "tiny", fallback_name="")
    assert_unharmed(victim)


def test_a_checkpoint_s_name_that_is_a_link_is_neither_read_nor_written(
    tmp_path: Path, victim: Path
) -> None:
    """Three checkpoints were links to one file: none counts, and none is replaced."""
    folder = saved_run(tmp_path / "runs")
    for step in (2, 3, 4):
        (folder.path / f"step-{step:08d}.safetensors").symlink_to(victim)
    folder = RunFolder(folder.path)
    folder.lock()
    warnings: list[str] = []
    assert folder.checkpoints.load_latest(warnings.append).metadata.step == 1
    assert len(warnings) == 3
    assert all("is a symbolic link, not a regular file" in warning for warning in warnings)
    with pytest.raises(NotRegularError):
        folder.checkpoints.save(make_checkpoint(3))
    for step in (5, 6, 7):
        folder.checkpoints.save(make_checkpoint(step))
    assert_unharmed(victim)
    steps = sorted(path.name for path in folder.checkpoints.paths() if not path.is_symlink())
    assert steps == ["step-00000006.safetensors", "step-00000007.safetensors"]


def test_a_training_says_that_a_link_is_in_the_place_of_its_checkpoint(
    tmp_path: Path, victim: Path
) -> None:
    request = make_request(tmp_path, epochs=1, validation_fraction=0.0)
    run = TrainingRun(request, TrainingControls())
    folder = tmp_path / "runs" / "tiny"
    events = []
    for event in run.events():
        events.append(event)
        if len(events) == 5:
            for step in range(100):
                (folder / f"step-{step:08d}.safetensors").symlink_to(victim)
    assert of_kind(events, CheckpointSaved) == []
    (failed,) = of_kind(events, SaveFailed)
    assert "checkpoint not saved (is a symbolic link, not a regular file)" in failed.sentence
    assert failed.sentence in [event.text for event in of_kind(events, WarningRaised)]
    assert_unharmed(victim)


def test_a_temporary_file_is_created_under_a_name_that_cannot_be_guessed(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {create_temporary(tmp_path)[0].name for _ in range(20)}
    assert len(names) == 20
    monkeypatch.setattr("secrets.token_hex", lambda _: "0123456789abcdef")
    (tmp_path / f".charlm-0123456789abcdef.tmp-{os.getpid()}").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "x", b"x")
    with pytest.raises(FileExistsError):
        require_room(tmp_path, 9)
    assert_unharmed(victim)


@pytest.mark.parametrize("kind", KINDS)
def test_no_way_of_writing_follows_a_link_or_waits_for_a_pipe(
    kind: str, tmp_path: Path, victim: Path
) -> None:
    path = tmp_path / "name"
    KINDS[kind](path, victim)
    for write in (
        lambda: write_atomically(path, b"new"),
        lambda: append_whole(path, b"new"),
        lambda: cut_off(path, 0),
        lambda: open_to_append(path),
        lambda: open_regular(path),
    ):
        with pytest.raises(NotRegularError, match="is a "):
            write()
    assert_unharmed(victim)


def test_devices_and_sockets_are_refused(tmp_path: Path) -> None:
    make_socket(tmp_path / "socket")
    for path in (Path(os.devnull), tmp_path / "socket"):
        for write in (lambda p: write_atomically(p, b""), open_to_append, open_regular):
            with pytest.raises(NotRegularError, match=r"is a (device|socket), not a"):
                write(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_without_a_screen_is_not_written_through_a_link(
    kind: str, tmp_path: Path, victim: Path
) -> None:
    KINDS[kind](tmp_path / "train.log", victim)
    going_on = WithoutScreen(None, None)  # type: ignore[arg-type]
    going_on._open(tmp_path / "train.log")
    assert going_on._log is None
    assert_unharmed(victim)


def test_a_symlinked_run_says_what_can_be_done(tmp_path: Path) -> None:
    """C25: it said "cannot be deleted (None)"."""
    from model.runs.summary import delete_run, list_runs

    folder = saved_run(tmp_path / "elsewhere")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(folder.path)
    assert [run.name for run in list_runs(tmp_path / "runs")] == ["linked"]
    with pytest.raises(RunFolderError) as caught:
        delete_run(tmp_path / "runs", "linked")
    assert str(caught.value) == (
        f"{tmp_path}/runs/linked: is a symbolic link to a run, which is not deleted through it; "
        "delete the link yourself, and the run where it is"
    )
    assert folder.checkpoints.paths()


def test_where_all_checkpoints_are_links_a_run_cannot_be_resumed(
    tmp_path: Path, victim: Path
) -> None:
    folder = RunFolder.create(tmp_path, "tiny", fallback_name="")
    (folder.path / "step-00000001.safetensors").symlink_to(victim)
    with pytest.raises(CheckpointError, match="no checkpoint that can be read"):
        folder.checkpoints.load_latest(lambda _: None)


def test_tensorboard_s_files_are_not_written_beside_a_link(tmp_path: Path, victim: Path) -> None:
    from model.runs.tensorboard import TensorBoardLog

    pytest.importorskip("tensorboard")
    (tmp_path / "events.out.tfevents.1700000000.host.1.0").symlink_to(victim)
    log = TensorBoardLog(tmp_path)
    assert "is a symbolic link" in log.take_failure()
    assert_unharmed(victim)
