"""The table of runs, on real runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from app_opened import opened
from app_script import on_a_loop, training
from saved_runs import at_the_table, make_run, tmp_root
from textual.widgets import DataTable, Static

from model.duel.score import LetterPlayed, to_json_line
from model.runs.folder import RunFolder
from model.runs.summary import list_runs, validation_curve
from tui.screens.next_session import NextSession
from tui.screens.runs_screen import DeleteQuestion, RunsScreen


def test_a_run_is_summed_up_without_its_tensors(tmp_path: Path) -> None:
    make_run(tmp_path, "one", 2.0, 1.5, 1.7)
    (summary,) = list_runs(tmp_path)
    assert (summary.name, summary.corpus, summary.state) == ("one", "poem", "interrupted")
    assert (summary.steps, summary.best_nats, len(summary.checkpoints)) == (3, 1.5, 2)
    assert summary.best_path is not None
    assert summary.best_path.name == "step-00000002.safetensors"
    assert validation_curve(RunFolder(tmp_path / "one")) == [(10, 2.0), (20, 1.5), (30, 1.7)]


@on_a_loop
async def test_enter_opens_the_best_weights() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0, 1.5)
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        assert screen.chosen is not None
        await it.press("enter")
        assert it.app.successor == NextSession(
            kind="open", run="one", path=root / "one" / "step-00000002.safetensors"
        )


@on_a_loop
async def test_the_score_of_duels_is_shown_for_the_run_under_the_cursor() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0)
    folder = make_run(root, "two", 2.0)
    letter = LetterPlayed(
        seed=1, place=9, step=3, rank=1, gave_up=False, model_rank=2, model_bits=1.5
    )
    (folder.path / "duels.jsonl").write_text(to_json_line(letter) + "\n", encoding="utf-8")
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        words = screen.query_one("#runs-duel", Static)
        shown = {}
        for key in ("home", "down"):
            await it.press(key)
            assert screen.chosen is not None
            shown[screen.chosen.name] = str(words.render())
        assert shown == {
            "one": "",
            "two": "Duel: you 0.00 to 0.00 bits (bounds), model 1.50; 1 letter",
        }


@on_a_loop
async def test_r_resumes_unless_somebody_trains_it() -> None:
    root = tmp_root()
    folder = make_run(root, "one", 2.0)
    async with opened(*training(), root=root) as it:
        folder.lock()
        await at_the_table(it)
        await it.press("r")
        assert it.app.successor is None
        await it.press("escape")
        folder.unlock()
        await at_the_table(it)
        await it.press("r")
        assert it.app.successor == NextSession(kind="resume", run="one")


@on_a_loop
async def test_a_run_is_deleted_only_after_a_question() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0)
    make_run(root, "two", 2.0)
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        assert screen.chosen is not None
        name = screen.chosen.name
        await it.press("d")
        assert isinstance(it.app.screen, DeleteQuestion)
        await it.press("enter")
        assert (root / name).exists(), "keeping is under Enter"
        await it.press("d", "y")
        await it.until(lambda: len(screen.runs) == 1)
        assert not (root / name).exists()


@on_a_loop
async def test_the_open_run_is_left_alone() -> None:
    root = tmp_root()
    make_run(root, "a-run", 2.0)
    async with opened(*training(), root=root) as it:
        await at_the_table(it)
        await it.press("enter", "r", "d")
        assert isinstance(it.app.screen, RunsScreen)
        assert it.app.successor is None
        assert (root / "a-run").exists()


@on_a_loop
async def test_no_runs_and_no_folder_are_said() -> None:
    async with opened(*training(), root=tmp_root()) as it:
        await it.press("o")
        await it.pilot.pause()
        await it.press("enter", "r", "d", "c", "space", "escape")
        assert it.app.screen is it.app.main_screen
    async with opened(*training()) as it:
        await it.press("o")
        assert any("no runs" in toast for toast in it.toasts())


@on_a_loop
async def test_r_resumes_a_run_whose_folder_was_renamed() -> None:
    """C8: a name that no new run could have ended the app."""
    root = tmp_root()
    make_run(root, "one", 2.0).path.rename(root / "my run 実験")
    async with opened(*training(), root=root) as it:
        await at_the_table(it)
        await it.press("r")
        assert it.app.successor == NextSession(kind="resume", run="my run 実験")


@on_a_loop
async def test_a_run_without_a_sound_checkpoint_is_unreadable() -> None:
    root = tmp_root()
    make_run(root, "cut", 2.0)
    (path,) = (root / "cut").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        assert [run.state for run in screen.runs] == ["unreadable"]
        await it.press("enter")
        note = screen.query_one("#runs-note", Static)
        assert "1 checkpoint, of which none can be read" in str(note.content)


@on_a_loop
async def test_an_unreadable_run_is_listed_and_says_why() -> None:
    """B6: brackets without an end in one run ended the app and its training."""
    root = tmp_root()
    make_run(root, "bad", 2.0)
    make_run(root, "good", 2.0)
    (root / "bad" / "run.json").write_bytes(b"[" * 200_000)
    os.utime(root / "bad" / "step-00000001.safetensors")
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        assert {run.name: run.state for run in screen.runs} == {
            "bad": "unreadable", "good": "interrupted",
        }  # fmt: skip
        assert screen.chosen is not None
        assert screen.chosen.name == "bad"
        for key in ("enter", "r"):
            await it.press(key)
            note = screen.query_one("#runs-note", Static)
            assert "This run cannot be read: run.json cannot be read (is nested" in str(
                note.content
            )
        assert it.app.successor is None
        await it.press("down", "enter")
        assert it.app.successor is not None


@on_a_loop
async def test_a_run_that_cannot_be_compared_says_why() -> None:
    root = tmp_root()
    folder = make_run(root, "bad", 2.0)
    (folder.path / "metrics.jsonl").unlink()
    os.mkfifo(folder.path / "metrics.jsonl")
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        await it.press("c")
        assert it.app.screen is screen
        assert "is a named pipe" in str(screen.query_one("#runs-note", Static).content)


@on_a_loop
async def test_the_user_s_files_outlive_a_deleted_run() -> None:
    """C1: deleting a run removed its whole folder."""
    root = tmp_root()
    folder = make_run(root, "one", 2.0)
    (folder.path / "notes.txt").write_text("mine")
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        await it.press("d", "y")
        await it.until(lambda: not screen.runs)
        note = screen.query_one("#runs-note", Static)
        await it.until(lambda: "notes.txt" in str(note.content))
        assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
@on_a_loop
async def test_the_table_fits_the_screen(columns: int) -> None:
    root = tmp_root()
    for name in ("tinyshakespeare-20261128-152433", "y" * 60, "z-1"):
        make_run(root, name, 2.0, 1.5)
    async with opened(*training(), root=root, size=(columns, 24)) as it:
        screen = await at_the_table(it)
        table = screen.query_one(DataTable)
        assert table.virtual_size.width <= table.content_size.width
        # Textual measures columns late, and rows that it draws before that stay cut.
        assert not any(column.auto_width for column in table.columns.values())
        labels = [str(column.label) for column in table.columns.values()]
        assert labels[1] == "run"
        assert labels[-1] == "best nats"
        if columns >= 80:
            cells = [str(cell) for row in range(3) for cell in table.get_row_at(row)]
            assert "tinyshakespeare-20261128-152433" in cells
