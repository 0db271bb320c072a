"""You against the model: guess the next letter of held-out text, while the training goes on.

The passage is on the screen's side from the start, so that a guess is answered at once. The model's
figures for a letter arrive as an event after the user has solved it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key, MouseScrollDown, MouseScrollUp, Paste

from model.commands import DuelCommand, JudgeLetter, StartDuel
from model.duel.game import Duel, Verdict
from model.duel.score import DuelScore
from model.events import DuelLetterJudged, DuelRefused, DuelStarted, Event
from tui.duel.duel_words import human_forms, model_forms, result_forms, rules_forms
from tui.sanitise import one_line, replace_unprintable
from tui.screens.dialog import Dialog
from tui.terminal.deferred import after_refresh
from tui.view.line_wrapper import Line, LineWrapper
from tui.widgets.painted import Painted, Row, sentence_rows
from tui.widgets.symbols import symbol_label

if TYPE_CHECKING:
    from textual.app import ComposeResult

_GAP: Final = "?"
"""Stands for the letter to guess."""
_FRAME_ROWS: Final = 2
_FIXED_ROWS: Final = 4
"""Wrong guesses, the last letter, and the two scores."""
_MAX_ROWS: Final = 13
_ROWS_WITH_GAPS: Final = 11
"""From this height on, blank rows stand between passage, letter and scores."""
_KEYS: Final = {"enter": "\n", "shift+tab": "\t"}
_NO_KEYS: Final = ("ctrl+", "alt+", "super+")


class DuelScreen(Dialog[DuelScore | None]):
    """Letters guess, Tab gives up, Escape closes with the score."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "give_up", "Give up"),
        Binding("escape", "leave", "Close"),
        Binding("up", "look_back(1)", "Earlier text"),
        Binding("down", "look_back(-1)", "Later text"),
        Binding("pageup", "look_back(5)", "Much earlier text"),
        Binding("pagedown", "look_back(-5)", "Much later text"),
    ]

    def __init__(self, post: Callable[[DuelCommand], None], *, ascii_only: bool) -> None:
        """Asks for a passage when it is shown.

        Args:
            post: hands a command to the session.
            ascii_only: draw with ASCII only.
        """
        super().__init__()
        self._post = post
        self._ascii_only = ascii_only
        self.duel: Duel | None = None
        """None before the passage is there."""
        self._symbols: frozenset[str] = frozenset()
        self._sentence = "Reading the text ..."
        """What is shown without a passage."""
        self._note: str | None = None
        """Why the last guess did not count; None if it did."""
        self._not_kept = ""
        self._rows_back = 0
        """Rows of the passage that are scrolled back."""
        self.page = Painted()

    def compose(self) -> ComposeResult:
        """Shows the page; the words on its frame can be clicked."""
        with Vertical(classes="dialog -duel") as dialog:
            dialog.border_title = "You against the model"
            dialog.border_subtitle = (
                "[@click=screen.give_up]Tab gives up[/], [@click=screen.leave]Esc closes[/]"
            )
            yield self.page

    def on_mount(self) -> None:
        """Asks for a passage."""
        self._post(StartDuel())

    def on_resize(self) -> None:
        """Draws for the new size."""
        after_refresh(self, self._draw)

    def on_painted_resized(self) -> None:
        """Draws for the new width."""
        self._draw()

    def take(self, events: Sequence[Event]) -> None:
        """Takes the session's events of the duel."""
        for event in events:
            match event:
                case DuelStarted():
                    self._begin(event)
                case DuelRefused(reason=reason):
                    self.duel, self._sentence = None, one_line(reason, 300)
                case DuelLetterJudged(letter=letter, not_kept=not_kept) if self.duel is not None:
                    self.duel.judge(letter)
                    self._not_kept = not_kept
                case _:
                    continue
            self._draw()

    def _begin(self, event: DuelStarted) -> None:
        self.duel = Duel(event.text, event.context, event.by_frequency, seed=event.seed)
        self._symbols = frozenset(event.by_frequency)
        self._not_kept = event.not_kept
        self._note = None

    # --- what the user does ---------------------------------------------------------------------

    def on_key(self, event: Key) -> None:
        """Takes a printable key, Enter or Shift+Tab as a guess."""
        typed = event.character if event.is_printable else None
        symbol = _KEYS.get(event.key, typed)
        if symbol is not None and not event.key.startswith(_NO_KEYS):
            event.stop()
            event.prevent_default()
            self.guess(symbol)

    def on_paste(self, event: Paste) -> None:
        """Takes one pasted code point as a guess, for letters that no key types."""
        event.stop()
        if len(event.text) == 1:
            self.guess(event.text)
        else:
            self._note = "one letter at a time"
            self._draw()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Looks back."""
        event.stop()
        self.action_look_back(1)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Returns to the gap."""
        event.stop()
        self.action_look_back(-1)

    def guess(self, symbol: str) -> None:
        """Takes a guess; after the last letter of the passage, Enter asks for another passage."""
        duel = self.duel
        if duel is None:
            return
        if duel.is_over and symbol == "\n":
            self._post(StartDuel())
            return
        verdict = duel.guess(symbol)
        self._note = self._note_on(verdict, symbol)
        if verdict == "right":
            self._ask_the_model(duel)
        self._rows_back = 0
        self._draw()

    def action_give_up(self) -> None:
        """Shows the letter and goes on to the next one."""
        duel = self.duel
        if duel is not None and not duel.is_over:
            duel.give_up()
            self._note = None
            self._rows_back = 0
            self._ask_the_model(duel)
            self._draw()

    def action_look_back(self, rows: int) -> None:
        """Scrolls the passage."""
        self._rows_back = max(0, self._rows_back + rows)
        self._draw()

    def action_leave(self) -> None:
        """Closes with the score."""
        self.dismiss(None if self.duel is None else self.duel.score)

    def _ask_the_model(self, duel: Duel) -> None:
        solved = duel.solved[-1]
        self._post(JudgeLetter(place=solved.place, rank=solved.rank, gave_up=solved.gave_up))

    def _note_on(self, verdict: Verdict, symbol: str) -> str | None:
        label = symbol_label(symbol, ascii_only=self._ascii_only)
        match verdict:
            case "tried":
                return f"{label} was tried already"
            case "unknown":
                return f"{label} is no letter of this text"
            case "over":
                return "The passage is over. Enter starts another."
            case _:
                return None

    # --- drawing --------------------------------------------------------------------------------

    def _draw(self) -> None:
        room = self.app.size.height - _FRAME_ROWS
        height = min(room, max(_FIXED_ROWS + 4, min(_MAX_ROWS, self.app.size.height // 2)))
        self.page.styles.height = height
        self.page.present(self.rows(max(1, self.page.size.width), height))

    def rows(self, width: int, height: int) -> list[Row]:
        """Returns the passage, the present letter, the last one and the scores."""
        duel = self.duel
        if duel is None:
            return sentence_rows(self._sentence, width)
        gap: list[Row] = [()] if height >= _ROWS_WITH_GAPS else []
        below = [*gap, *self._letter_rows(duel, width), *gap, *self._score_rows(duel, width)]
        if self._not_kept:
            words = f"Score not kept: {one_line(self._not_kept, 200)}."
            below.append(((one_line(words, width), "warn"),))
        room = max(1, height - len(below))
        passage = self._passage_rows(duel, width)
        self._rows_back = min(self._rows_back, max(0, len(passage) - room))
        end = len(passage) - self._rows_back
        shown = passage[max(0, end - room) : end]
        return [*shown, *([()] * (room - len(shown))), *below]

    def _passage_rows(self, duel: Duel, width: int) -> list[Row]:
        wrapper = LineWrapper(width)
        text, context, place = duel.text, duel.context, duel.place
        wrapper.add(self._visible(text[:context]), "prompt")
        # A space at the end would not be seen beside the gap.
        ends_in_space = text[place - 1 : place] == " "
        wrapper.add(self._visible(text[context : place - ends_in_space]), "text")
        if ends_in_space:
            wrapper.add("_" if self._ascii_only else "␣", "text")
        if not duel.is_over:
            wrapper.add(_GAP, "mark")
        lines: list[Line] = [*(line for _, line in wrapper.finished), wrapper.open_line]
        paints = {"prompt": "label", "text": "strong", "mark": "chosen"}
        return [tuple((piece.text, paints[piece.kind]) for piece in line) for line in lines]

    def _visible(self, text: str) -> str:
        """Returns foreign text with signs for new lines, which also break, and for tabs."""
        signs = {
            ord(symbol): symbol_label(symbol, ascii_only=self._ascii_only) + end
            for symbol, end in (("\n", "\n"), ("\t", ""))
        }
        return replace_unprintable(text.translate(signs), keep_newlines=True)

    def _letter_rows(self, duel: Duel, width: int) -> list[Row]:
        labels = [symbol_label(symbol, ascii_only=self._ascii_only) for symbol in duel.tried]
        words = _fitted_end(labels, width - 7)
        wrong: Row = (("wrong  ", "label"), (words, "bad")) if labels else ()
        note = self._note_on("over", "") if duel.is_over else self._note
        if note is not None:
            return [wrong, ((one_line(note, width), "warn"),)]
        if not duel.solved:
            return [wrong, ((longest_fitting(rules_forms(self._symbols), width), "label"),)]
        last = duel.solved[-1]
        forms = result_forms(last, duel.played_at(last.place), ascii_only=self._ascii_only)
        paint = "warn" if last.gave_up else "good"
        return [wrong, ((longest_fitting(forms, width), paint),)]

    def _score_rows(self, duel: Duel, width: int) -> list[Row]:
        score = duel.score
        human = ("no letter yet",) if score is None else human_forms(score)
        model = ("",) if score is None else model_forms(score)
        room = width - 6
        return [
            (("you   ", "key"), (longest_fitting(human, room), "value")),
            (("model ", "key"), (longest_fitting(model, room), "value")),
        ]


def longest_fitting(forms: Sequence[str], width: int) -> str:
    """Returns the first form that fits, or else the last one."""
    return next((form for form in forms if cell_len(form) <= width), forms[-1])


def _fitted_end(labels: Sequence[str], width: int) -> str:
    """Returns as many of the last labels as fit, with a sign for those that are left out."""
    words = " ".join(labels)
    while cell_len(words) > width and len(labels) > 1:
        labels = labels[1:]
        words = " ".join(("...", *labels))
    return words
