"""C1: files are deleted by names that this program makes, in one place of the source."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corpus.files.removal import own_files, remove_file, remove_folder
from model.runs.folder import RunFolder
from model.runs.summary import delete_run
from tui.cli.main import run

ROOT = Path(__file__).parents[2]
THE_ONE_PLACE = ROOT / "corpus" / "files" / "removal.py"
ALWAYS = {"unlink", "unlinkat", "rmdir", "rmtree", "removedirs", "rmtree_safe", "send2trash"}
"""Names that delete whatever they belong to."""
OF_OS = {"remove", "truncate"}
"""Names that delete only where they are the system's; lists have a `remove` as well."""
TEMPORARIES = {"NamedTemporaryFile", "TemporaryDirectory"}
"""They delete by themselves, and by place."""


def deletes_in(source: str) -> Iterator[tuple[int, str]]:
    """Yields line and name of each delete."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            of_os = isinstance(node.value, ast.Name) and node.value.id in {"os", "shutil"}
            if node.attr in ALWAYS | TEMPORARIES or (node.attr in OF_OS and of_os):
                yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in ALWAYS | TEMPORARIES:
            yield node.lineno, node.id
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", "shutil", "tempfile"}:
            for name in node.names:
                if name.name in ALWAYS | OF_OS | TEMPORARIES:
                    yield node.lineno, name.name
        elif isinstance(node, ast.Constant) and node.value in ALWAYS | {"remove"}:
            yield node.lineno, repr(node.value)  # getattr(os, "unlink")


def test_one_module_deletes() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for package in ("corpus", "model", "tui")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != THE_ONE_PLACE
        for line, name in deletes_in(path.read_text(encoding="utf-8"))
    }
    assert found == set(), "delete through corpus.files.removal, by a pattern of names"


@pytest.mark.parametrize(
    "source",
    [
        "path.unlink()",
        "import os\nos.remove(path)",
        "from os import remove",
        "from shutil import rmtree as gone",
        "getattr(os, 'unlink')(path)",
        "delete = Path.unlink",
        "tempfile.TemporaryDirectory()",
    ],
)
def test_a_delete_elsewhere_would_be_found(source: str) -> None:
    assert list(deletes_in(source))
    assert not list(deletes_in("names.remove(name)\nwidget.remove()"))


# --- the one place --------------------------------------------------------------------------------

NAMES = re.compile(r"ours-\d+")


def test_a_name_that_is_not_ours_is_a_defect(tmp_path: Path) -> None:
    for name in ("mine", "ours-1.txt", "xours-1", "ours-1\n"):
        path = tmp_path / name
        path.write_bytes(b"x")
        with pytest.raises(ValueError, match="is not a name that this program makes"):
            remove_file(path, NAMES)
        assert path.exists()
    assert own_files(tmp_path, NAMES) == []


def test_what_is_no_regular_file_stays(tmp_path: Path) -> None:
    victim = tmp_path / "mine"
    victim.write_bytes(b"mine")
    makers: list[Callable[[Path], object]] = [
        lambda path: path.symlink_to(victim), os.mkfifo, os.mkdir,
    ]  # fmt: skip
    for number, make in enumerate(makers):
        path = tmp_path / f"ours-{number}"
        make(path)
        assert remove_file(path, NAMES) == 0
        assert os.path.lexists(path)
    assert own_files(tmp_path, NAMES) == []
    assert victim.read_bytes() == b"mine"
    assert remove_file(tmp_path / "ours-99", NAMES) == 0


def test_a_file_of_ours_goes_and_says_its_size(tmp_path: Path) -> None:
    path = tmp_path / "ours-7"
    path.write_bytes(b"12345")
    assert own_files(tmp_path, NAMES) == [path]
    assert not remove_folder(tmp_path)
    assert remove_file(path, NAMES) == 5
    assert remove_folder(tmp_path)
    assert remove_folder(tmp_path)
    assert not tmp_path.exists()


# --- the cache of encoded texts -------------------------------------------------------------------

OURS = [
    f"{'0' * 64}.ids",
    f"{'ab' * 32}.json",
    f"{'cd' * 32}.ids.tmp-123-0123abcd",
    ".charlm-0123456789abcdef.tmp-99",
]
NOT_OURS = [
    "novel.txt",
    "download.txt",
    "notes.ids",
    "settings.json",
    f"{'0' * 63}.ids",
    f"{'0' * 65}.ids",
    f"{'AB' * 32}.ids",
    f"{'0' * 64}.ids.bak",
    f"{'0' * 64}",
    f"{'0' * 64}.txt",
    "novel.txt.tmp-1-0123abcd",
    ".novel.tmp-1",
    "0.ids",
]


def test_clearing_the_cache_leaves_the_user_s_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The case itself: `CHARLM_CACHE=data charlm-tui corpora --clear-cache`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARLM_CACHE", "data")
    texts = Path("data/texts")
    texts.mkdir(parents=True)
    for name in (*NOT_OURS, *OURS):
        (texts / name).write_text("x\n")
        if name in NOT_OURS:
            (texts.parent / name).write_text("x\n")
    folder = texts / f"{'9' * 64}.ids"
    folder.mkdir()
    (folder / "chapter.txt").write_text("x\n")
    link = texts / f"{'8' * 64}.ids"
    link.symlink_to("novel.txt")
    assert run(["corpora", "--clear-cache"]) == 0
    assert f"freed {2 * len(OURS)} bytes" in capsys.readouterr().out
    assert {path.name for path in texts.iterdir()} == {*NOT_OURS, folder.name, link.name}
    assert {path.name for path in texts.parent.iterdir()} == {*NOT_OURS, "texts"}
    assert (folder / "chapter.txt").exists()


def test_making_room_in_the_cache_leaves_the_user_s_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old files look like the leftovers of killed processes."""
    import corpus.cache.fingerprint
    import corpus.load
    from corpus import CorpusOptions, load_corpus, resolve_source

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARLM_CACHE", "data")
    monkeypatch.setenv("CHARLM_CACHE_LIMIT", "6K")
    monkeypatch.setattr(corpus.load, "MAX_IDS_IN_MEMORY", 1000)
    monkeypatch.setattr(corpus.cache.fingerprint, "SECONDS_TO_SETTLE", -60.0)
    texts = Path("data/texts")
    texts.mkdir(parents=True)
    for name in (*NOT_OURS, *OURS):
        (texts / name).write_text("{}")
        os.utime(texts / name, (0, 0))
    Path("text").write_text("a line\n" * 600)
    text = load_corpus(resolve_source("text"), CorpusOptions())
    names = {path.name for path in texts.iterdir()}
    assert set(NOT_OURS) <= names
    assert f"{text.sha256}.ids" in names
    assert not {name for name in OURS if ".tmp-" in name} & names


# --- runs -----------------------------------------------------------------------------------------


def make_run(root: Path) -> RunFolder:
    folder = RunFolder.create(root, "one", fallback_name="")
    folder.write_description({"run": "one"})
    for name in ("metrics.jsonl", "samples.jsonl"):
        folder.record.append_line(name, "{}")
    for name in (
        "step-00000001.safetensors",
        "step-123456789.safetensors",
        "train.log",
        "events.out.tfevents.1700000000.some.host.123.0",
        ".charlm-0123456789abcdef.tmp-99",
    ):
        (folder.path / name).write_bytes(b"x")
    folder.unlock()
    return folder


def test_a_run_is_deleted_with_its_folder(tmp_path: Path) -> None:
    make_run(tmp_path)
    assert delete_run(tmp_path, "one") == []
    assert list(tmp_path.iterdir()) == []


def test_deleting_a_run_leaves_the_user_s_files_and_says_so(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    mine = ["best.safetensors", "notes.txt", "run.json.bak", "step-1.safetensors"]
    for name in mine:
        (folder.path / name).write_text("mine")
    (folder.path / "thesis").mkdir()
    (folder.path / "step-00000002.safetensors").symlink_to("notes.txt")
    left = sorted([*mine, "thesis", "step-00000002.safetensors"])
    assert delete_run(tmp_path, "one") == left
    assert sorted(path.name for path in folder.path.iterdir()) == left
    assert (folder.path / "notes.txt").read_text() == "mine"


def test_a_run_that_was_given_up_leaves_the_user_s_files(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "one", fallback_name="")
    (folder.path / "notes.tmp-1").write_text("mine")
    folder.remove_new()
    assert [path.name for path in folder.path.iterdir()] == ["notes.tmp-1"]
