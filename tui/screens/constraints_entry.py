"""The dialog of what the writing may do: letters, lines and verse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from corpus import UserError, Vocabulary
from model.commands import Command, SetConstraints
from model.constraint_config import MAX_CONSTRAINT_CHARACTERS, Constraints, read_constraints
from model.constraints.letters import allowed_symbols
from model.constraints.line_rules import LineRules
from model.events import ConstraintsApplied, Event, LineDrafted
from tui.sanitise import one_line
from tui.screens.dialog import Dialog
from tui.screens.entry import SafeInput
from tui.screens.session_host import Severity
from tui.terminal.deferred import after_refresh

if TYPE_CHECKING:
    from textual.app import ComposeResult

FIELDS: Final = (
    ("forbid", "No letters", "such as e: none of these"),
    ("allow", "Only letters", "such as aeinrst"),
    ("acrostic", "Acrostic", "first letters of the lines"),
    ("line_length", "Line length", "such as 32-40"),
    ("line_matches", "Matches", "a regular expression"),
    ("rhyme", "Rhyme", "such as ABAB"),
    ("syllables", "Syllables", "such as 10, or 9-11"),
    ("verse_language", "Language", "en"),
    ("line_choice", "Take", "likely, or random"),
)
"""Fields of ``Constraints``, their labels, and what stands in an empty one."""
NOTE: Final = "Empty fields allow everything."


class ConstraintsEntry(Dialog[Constraints | None]):
    """Closes with the constraints that were typed, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("up", "app.focus_previous", show=False, priority=True),
        Binding("down", "app.focus_next", show=False, priority=True),
    ]

    def __init__(self, constraints: Constraints, vocabulary: Vocabulary | None) -> None:
        """Shows nothing yet.

        Args:
            constraints: those that hold.
            vocabulary: characters that the model knows; None where it is not known yet.
        """
        super().__init__()
        self._words = constraints.words()
        self._vocabulary = vocabulary
        self._note = Static(Content(NOTE), classes="dialog-note", id="constraints-note")

    def compose(self) -> ComposeResult:
        """Shows a row for each constraint, two buttons and a note."""
        defaults = Constraints().words()
        with VerticalScroll(classes="dialog -constraints", can_focus=False) as dialog:
            dialog.border_title = "Constraints"
            dialog.border_subtitle = "Enter sets, Esc leaves"
            for name, label, placeholder in FIELDS:
                typed = self._words[name]
                with Horizontal(classes="constraint"):
                    yield Static(Content(label), classes="constraint-label")
                    yield SafeInput(
                        "" if typed == defaults[name] else typed,
                        placeholder=placeholder,
                        id=f"constraint-{name}",
                        max_length=MAX_CONSTRAINT_CHARACTERS,
                    )
            yield Button(Content("Set"), id="set")
            yield Button(Content("Clear all"), id="clear")
            yield self._note

    @on(Input.Submitted)
    def submitted(self) -> None:
        """Closes with valid constraints; stays open with invalid ones."""
        typed = {name: self.query_one(f"#constraint-{name}", Input).value for name, _, _ in FIELDS}
        try:
            constraints = read_constraints(typed)
            LineRules(constraints)
            if self._vocabulary is not None:
                allowed_symbols(constraints, self._vocabulary)
        except UserError as error:
            self._note.update(Content(one_line(str(error), 300)))
            self._note.add_class("-wrong")
            scroll = self.query_one(VerticalScroll).scroll_end
            after_refresh(self, partial(scroll, animate=False))  # the note gets its height first
        else:
            self.dismiss(constraints)

    @on(Button.Pressed, "#set")
    def set_pressed(self) -> None:
        """Does what Enter does."""
        self.submitted()

    @on(Button.Pressed, "#clear")
    def clear_pressed(self) -> None:
        """Closes with no constraints."""
        self.dismiss(Constraints())


class ConstraintsHost(Protocol):
    """What keeps the constraints of a session: the app."""

    constraints: Constraints
    """Those that the user chose, or that the sampler could obey."""

    def post(self, command: Command) -> None:
        """Hands a command to the session."""

    def say(self, words: str, *, severity: Severity = "information") -> None:
        """Shows a toast; the words must be printable."""

    def draw_status(self) -> None:
        """Draws the lower edge of the writing pane."""


def answer_of(host: ConstraintsHost) -> Callable[[Constraints | None], None]:
    """Returns what takes the dialog's answer."""

    def answered(constraints: Constraints | None) -> None:
        if constraints is not None and constraints != host.constraints:
            host.constraints = constraints
            host.post(SetConstraints(constraints=constraints))

    return answered


def notice(host: ConstraintsHost, event: Event) -> None:
    """Shows what became of constraints or of a line; ignores other events."""
    if isinstance(event, ConstraintsApplied):
        host.constraints = event.constraints
        if event.note:
            host.say(one_line(event.note, 300), severity="warning")
    if isinstance(event, ConstraintsApplied | LineDrafted):
        host.draw_status()
