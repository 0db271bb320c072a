"""The help: every key of the table of keys, and the meaning of the signs on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from tui.config.keys import KEYS, KeyAction
from tui.screens.dialog import Dialog
from tui.widgets.painted import Painted, Row, flowing_rows

if TYPE_CHECKING:
    from textual.app import ComposeResult

_NOTES = (
    ("train", "smoothed loss of the batches; the faint line is not smoothed"),
    ("val", "loss on the held-out part of the text; lower is better"),
    ("nats, bits", "loss per character, for any vocabulary; 1 nat = 1.44 bits"),
    ("surprise", "mean bits per character of the text that the model writes"),
    ("xz, 5-gram", "dashed lines: bits per character of compressors and of counted 5-grams"),
    ("ink", "surprise: a hotter, bolder character cost more bits"),
    ("", "novelty: a bold word is not in the corpus; underlined text is copied from it"),
    ("", "unit: the activation of one hidden unit"),
    ("≠", "here a lane of the race first differs from the lane to its left"),
    ("‹0.85›", "from here on the text was written at this temperature"),  # noqa: RUF001 - meant
)


class HelpScreen(Dialog[None]):
    """A page to scroll; Escape, Enter or the key that opened it closes the page."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,question_mark,f1,q", "dismiss", "Close"),
    ]

    def __init__(self, keys: Sequence[KeyAction] = KEYS) -> None:
        super().__init__()
        self._keys = tuple(keys)

    def compose(self) -> ComposeResult:
        """Shows the page."""
        with VerticalScroll(classes="dialog -help") as page:
            page.border_title = "Help"
            page.border_subtitle = "Esc closes"
            yield HelpPage(self._keys)


class HelpPage(Painted):
    """The rows of the page."""

    def __init__(self, keys: Sequence[KeyAction]) -> None:
        super().__init__()
        self._keys = keys

    def on_resize(self) -> None:
        """Draws the page for its width and sets its height."""
        rows = help_rows(self._keys, self.size.width)
        self.styles.height = len(rows)
        self.present(rows)


def help_rows(keys: Sequence[KeyAction] = KEYS, width: int = 80) -> list[Row]:
    """Returns the page as rows of at most ``width`` cells."""
    rows: list[Row] = []
    for group, actions in groupby(keys, key=lambda key: key.group):
        rows.append(((group, "strong"),))
        for key in actions:
            tail = f"  {key.tooltip}" if key.tooltip else ""
            shown = " ".join(dict.fromkeys([key.shown, *_other_key_names(key.keys)]))
            head: Row = ((f"  {shown:<8} ", "key"),)
            rows += flowing_rows(head, ((key.label, "value"), (tail, "label")), width)
        rows.append(())
    rows.append((("Also", "strong"),))
    palette: Row = (("Command palette", "value"), ("  all of this", "label"))
    rows += flowing_rows((("  ^p       ", "key"),), palette, width)
    rows.append(())
    rows.append((("What the screen shows", "strong"),))
    for name, meaning in _NOTES:
        rows += flowing_rows(((f"  {name:<11}", "accent"),), ((meaning, "label"),), width)
    return rows


def _other_key_names(keys: tuple[str, ...]) -> list[str]:
    """Returns the other keys of an action, as users know them."""
    names = {"equals_sign": "=", "f1": "F1", "ctrl+q": "^q"}
    return [names[key] for key in keys if key in names]
