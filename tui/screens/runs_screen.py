"""The saved runs: open one, resume one, compare curves, let two write one text, delete one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button, DataTable, Static

from corpus import UserError
from corpus.counted import counted
from model.runs.folder import RunFolder
from model.runs.printed_command import printed_command
from model.runs.summary import RunSummary, delete_run, list_runs, validation_curve
from tui.sanitise import one_line
from tui.screens.compare_screen import ComparedRun, CompareScreen
from tui.screens.dialog import Dialog
from tui.screens.next_session import NextSession
from tui.view.format import fixed, grouped

if TYPE_CHECKING:
    from textual.app import ComposeResult


_ALWAYS_CELLS = 21
"""Frame, sign and loss, with all gaps and a bar to scroll with."""
_FIGURES_CELLS = 24
"""State and steps, with their gaps."""
_TEXT_CELLS = 24
_NETWORK_CELLS = 13
"""As wide as ``2 x LSTM(512)``."""
_MIN_COLUMNS_FOR_KEYS = 80
"""Where the frame holds the words for all keys."""
_MIN_COLUMNS_FOR_FIGURES = 70
_MIN_COLUMNS_FOR_TEXT = 116
_MIN_COLUMNS_FOR_NETWORK = 134


class RunsScreen(Dialog[NextSession | None]):
    """A table of runs; closes with the run to open or to resume."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,o", "leave", "Close"),
        Binding("r", "resume", "Resume"),
        Binding("space", "mark", "Mark"),
        Binding("c", "compare", "Compare"),
        Binding("m", "mix", "Mix"),
        Binding("d", "delete", "Delete"),
    ]

    def __init__(self, root: Path, current: str | None, *, ascii_only: bool) -> None:
        """Reads nothing yet.

        Args:
            root: where the runs are.
            current: the run that is open, if any; it can be neither opened nor deleted.
            ascii_only: draw with ASCII only.
        """
        super().__init__()
        self._root = root
        self._current = current
        self._ascii_only = ascii_only
        self.runs: list[RunSummary] = []
        self._marked: set[str] = set()
        self._shows_text = True
        """Whether there is room for the text's name, which a run's name usually begins with."""
        self._shows_network = True
        """Whether there is room for the kind and the size of the network."""
        self._shows_figures = True
        """Whether there is room for state and steps."""
        self._table: DataTable[Text] = DataTable(cursor_type="row", id="runs-table")
        self._duel = Static(id="runs-duel")
        self._note = Static(Content("Reading the runs ..."), id="runs-note")

    @property
    def _room(self) -> int:
        """Cells for the names of runs, and for their texts where both fit."""
        others = _FIGURES_CELLS if self._shows_figures else 0
        others += _TEXT_CELLS + 2 if self._shows_text else 0
        others += _NETWORK_CELLS + 2 if self._shows_network else 0
        return int(self.app.size.width * 0.96) - _ALWAYS_CELLS - others

    def compose(self) -> ComposeResult:
        """Shows the table and a line for notes."""
        with Vertical(classes="dialog -runs") as dialog:
            dialog.border_title = "Runs"
            if self.app.size.width >= _MIN_COLUMNS_FOR_KEYS:
                dialog.border_subtitle = (
                    "Enter opens, [@click=screen.resume]r resumes[/], "
                    "[@click=screen.mark]space marks[/], [@click=screen.compare]c compares[/], "
                    "[@click=screen.mix]m mixes[/], [@click=screen.delete]d deletes[/]"
                )
            else:
                dialog.border_subtitle = (
                    "Enter opens, [@click=screen.resume]r resumes[/], [@click=screen.mix]m mixes[/]"
                )
            yield self._table
            yield self._duel
            yield self._note

    async def on_mount(self) -> None:
        """Reads the runs in a thread."""
        self._shows_text = self.app.size.width >= _MIN_COLUMNS_FOR_TEXT
        self._shows_figures = self.app.size.width >= _MIN_COLUMNS_FOR_FIGURES
        self._shows_network = self.app.size.width >= _MIN_COLUMNS_FOR_NETWORK
        text = ("text",) if self._shows_text else ()
        network = ("network",) if self._shows_network else ()
        figures = ("state", "steps") if self._shows_figures else ()
        self._headings = ("", "run", *text, *network, *figures, "best nats")
        self.run_worker(self._read(), group="runs", exclusive=True)

    async def _read(self, words: str = "") -> None:
        """Reads the runs and fills the table.

        Args:
            words: what to say below it; by default how many runs there are.
        """
        try:
            self.runs = await asyncio.to_thread(list_runs, self._root)
        except UserError as error:
            self.runs = []
            self._say(str(error))
            return
        if not self.is_attached:
            return
        self._fill()
        count = len(self.runs)
        self._say(words or (counted(count, "run") if count else "No runs yet."))

    def _fill(self) -> None:
        table = self._table
        row = table.cursor_row
        name_cells = min(40, max(8, self._room))
        rows = []
        for run in self.runs:
            sign = "*" if run.name in self._marked else ""
            state = "open here" if run.name == self._current else run.state
            corpus = (one_line(run.corpus, _TEXT_CELLS),) if self._shows_text else ()
            network = (one_line(run.network, _NETWORK_CELLS),) if self._shows_network else ()
            cells = (
                sign,
                one_line(run.name, name_cells),
                *corpus,
                *network,
                *((state, grouped(run.steps)) if self._shows_figures else ()),
                fixed(run.best_nats, 4),
            )
            rows.append(cells)
        # Textual measures columns late, and rows that it draws before stay cut.
        table.clear(columns=True)
        for heading, *column in zip(self._headings, *rows, strict=True):
            table.add_column(heading, width=max(cell_len(cell) for cell in (heading, *column)))
        for run, cells in zip(self.runs, rows, strict=True):
            table.add_row(*(Text(cell) for cell in cells), key=run.name)
        if self.runs:
            table.move_cursor(row=min(row, len(self.runs) - 1))
        self._duel.display = any(run.duel is not None for run in self.runs)
        table.focus()

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        row = self._table.cursor_row
        return self.runs[row] if 0 <= row < len(self.runs) else None

    @on(DataTable.RowHighlighted)
    def show_duel(self) -> None:
        """Shows the score of the duels on the run under the cursor."""
        score = None if self.chosen is None else self.chosen.duel
        self._duel.update("" if score is None else Content(f"Duel: {score.words}"))

    @on(DataTable.RowSelected)
    def opened(self) -> None:
        """Closes with the run under the cursor, to write from its best weights."""
        run = self.chosen
        if run is None or self._is_open(run):
            return
        if run.problem is not None:
            self._say(f"This run cannot be read: {run.problem}")
        elif run.best_path is None:
            self._say("This run has no checkpoint yet.")
        else:
            self.dismiss(NextSession(kind="open", run=run.name, path=run.best_path))

    def action_resume(self) -> None:
        """Closes with the run under the cursor, to resume its training."""
        run = self.chosen
        if run is None or self._is_open(run):
            return
        if run.problem is not None:
            self._say(f"This run cannot be read: {run.problem}")
        elif run.state == "training":
            command = printed_command("watch", run.name, checkpoints=self._root)
            self._say(f"Another process trains it; {command}")
        elif run.best_path is None:
            self._say("This run has no checkpoint to resume from.")
        else:
            self.dismiss(NextSession(kind="resume", run=run.name))

    def action_mark(self) -> None:
        """Marks the run to compare or to mix it, or removes the mark."""
        run = self.chosen
        if run is not None:
            self._marked ^= {run.name}
            self._fill()

    def action_compare(self) -> None:
        """Shows the curves of the marked runs; without marks, of the run under the cursor."""
        runs = [run for run in self.runs if run.name in self._marked]
        if not runs and self.chosen is not None:
            runs = [self.chosen]
        if runs:
            try:
                compared = [
                    ComparedRun(
                        summary=run,
                        points=tuple(validation_curve(RunFolder(self._root / run.name))),
                    )
                    for run in runs
                ]
            except UserError as error:
                self._say(str(error))
                return
            self.app.push_screen(CompareScreen(compared, ascii_only=self._ascii_only))

    def action_mix(self) -> None:
        """Closes with two runs that write one text: the marked one or ones, and the chosen one."""
        runs = [run for run in self.runs if run.name in self._marked]
        chosen = self.chosen
        if len(runs) == 1 and chosen is not None and chosen != runs[0]:
            runs.append(chosen)
        if len(runs) != 2:
            self._say("Mark one run, then m on another.")
            return
        without = [run for run in runs if run.problem is not None or run.best_path is None]
        if without:
            self._say(f"{without[0].name} has no checkpoint that can be read.")
            return
        first, second = runs
        self.dismiss(NextSession(kind="mix", run=first.name, second=second.name))

    def action_delete(self) -> None:
        """Asks, then deletes the run under the cursor."""
        run = self.chosen
        if run is None or self._is_open(run):
            return

        def answered(sure: bool | None) -> None:
            if sure:
                self._delete(run)

        self.app.push_screen(DeleteQuestion(run), answered)

    def action_leave(self) -> None:
        """Closes."""
        self.dismiss(None)

    def _delete(self, run: RunSummary) -> None:
        name = run.name
        try:
            left = delete_run(self._root, name, run.identity)
        except UserError as error:
            self._say(str(error))
            return
        self._marked.discard(name)
        words = (
            "" if not left else f"{name} was deleted, except for your own files: {', '.join(left)}"
        )
        self.run_worker(self._read(words), group="runs", exclusive=True)

    def _is_open(self, run: RunSummary) -> bool:
        if run.name == self._current:
            self._say("This run is open.")
            return True
        return False

    def _say(self, words: str) -> None:
        self._note.update(Content(one_line(words, 300)))


class DeleteQuestion(Dialog[bool]):
    """Whether to delete a run for good."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n,q", "answer(False)", "Keep"),
        Binding("y", "answer(True)", "Delete"),
        Binding("up,left", "app.focus_previous", show=False),
        Binding("down,right", "app.focus_next", show=False),
    ]

    def __init__(self, run: RunSummary) -> None:
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        """Shows the question; Enter keeps the run."""
        with Vertical(classes="dialog -wide-dialog"):
            name, count = one_line(self._run.name, 50), len(self._run.checkpoints)
            words = f"Delete {name} and its {count} checkpoints?"
            yield Static(Content(words), classes="dialog-title")
            yield Button(Content("n  Keep it"), id="keep")
            yield Button(Content("y  Delete it for good"), id="delete")

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Takes the answer of a button."""
        self.dismiss(event.button.id == "delete")

    def action_answer(self, sure: bool) -> None:
        """Closes with the answer."""
        self.dismiss(sure)
