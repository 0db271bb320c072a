"""Asks for a prompt, and shows which of its characters the model does not know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from rich.highlighter import Highlighter
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from corpus import MAX_PROMPT_CHARACTERS, Vocabulary, fit_prompt, in_known_form
from tui.screens.dialog import Dialog
from tui.screens.entry import SafeInput
from tui.view.format import grouped

if TYPE_CHECKING:
    from textual.app import ComposeResult

_ESCAPES: Final = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
_SYMBOL: Final = re.compile(r"\\[nt\\]|.", re.DOTALL)
_NOTE: Final = r"The text restarts from it. \n is a new line; Enter sets it, Esc leaves it"


class PromptEntry(Dialog[str | None]):
    """Asks for the text that the model continues."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, prompt: str, vocabulary: Vocabulary | None = None) -> None:
        """Shows nothing yet.

        Args:
            prompt: to begin from.
            vocabulary: characters that the model knows; None where it is not known yet.
        """
        super().__init__()
        self._prompt = prompt
        self._vocabulary = vocabulary
        self._fit = Static(Content(""), classes="dialog-note", id="prompt-fit")

    def compose(self) -> ComposeResult:
        """Shows the title, the field and a note on unknown characters."""
        with Vertical(classes="dialog -wide-dialog"):
            yield Static(Content("Prompt"), classes="dialog-title")
            marks = None if self._vocabulary is None else UnknownMarks(self._vocabulary)
            placeholder = "empty: begin with nothing"
            yield PromptInput(escaped(self._prompt), placeholder=placeholder, highlighter=marks)
            yield self._fit
            yield Static(Content(_NOTE), classes="dialog-note")

    def on_mount(self) -> None:
        """Shows the note for the current prompt."""
        self._say_what_becomes_of(self._prompt)

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        """Shows which characters Enter will replace."""
        self._say_what_becomes_of(unescaped(event.value))

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Closes with the prompt."""
        self.dismiss(unescaped(event.value))

    def _say_what_becomes_of(self, prompt: str) -> None:
        words = "" if self._vocabulary is None else fit_words(prompt, self._vocabulary)
        self._fit.update(Content(words))
        self._fit.display = bool(words)


class PromptInput(SafeInput):
    r"""A field in which a line feed is typed as ``\n``."""

    def one_line_of(self, lines: str) -> str:
        r"""Returns lines with ``\n`` between them; a backslash means what it means when typed."""
        return lines.replace("\n", "\\n").replace("\t", "\\t")


class UnknownMarks(Highlighter):
    """Reverses the characters that the model does not know."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def highlight(self, text: Text) -> None:
        """Marks unknown characters in the typed line."""
        prompt = unescaped(text.plain)[-MAX_PROMPT_CHARACTERS:]
        changed = fit_prompt(prompt, self._vocabulary).changed
        for match in _SYMBOL.finditer(text.plain):
            if unescaped(match.group()) in changed:
                text.stylize("bold reverse", *match.span())


def fit_words(prompt: str, vocabulary: Vocabulary) -> str:
    """Returns the number of unknown characters and their replacement; empty if all are known.

    Of a prompt that is too long its end counts, as for the sampler.
    """
    prompt = prompt[-MAX_PROMPT_CHARACTERS:]
    fitted = fit_prompt(prompt, vocabulary)
    if fitted.preview is None:
        return ""
    count = sum(map(in_known_form(prompt, vocabulary).count, fitted.changed))
    noun = "character is" if count == 1 else "characters are"
    return f"{grouped(count)} {noun} not in the model's text: {fitted.preview}."


def escaped(prompt: str) -> str:
    """Returns a prompt as one line: line feeds and tabs as they are typed."""
    return prompt.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def unescaped(line: str) -> str:
    r"""Returns the prompt that was typed; ``\n``, ``\t`` and ``\\`` stand for one character."""
    return re.sub(r"\\[nt\\]", lambda match: _ESCAPES[match.group()], line)
