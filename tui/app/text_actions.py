"""What the keys for the written text do."""

from __future__ import annotations

from model.commands import (
    ContinueWriting,
    ForkWriting,
    HoldWriting,
    ReturnToTrunk,
    WatchUnit,
)
from tui.app.file_actions import FileActions
from tui.sanitise import encodable, one_line
from tui.screens.alternatives import AlternativesScreen
from tui.screens.entry import FindEntry
from tui.view.format import grouped
from tui.view.ink import INKS, InkKind

_INK_WORDS: dict[InkKind, str] = {
    "off": "Ink off",
    "surprise": "Ink: surprise. Hot and bold, at last reversed: the model paid many bits.",
    "novelty": "Ink: novelty. Bold: no word of the corpus. Underlined: copied.",
    "unit": "Ink: one hidden unit; h takes another.",
}
CLIPBOARD_BYTES = 50_000
"""Terminals refuse a longer OSC 52; the end of a longer text is copied."""


class TextActions(FileActions):
    """Scrolls, finds, colours, forks and copies the text."""

    alternatives_wanted = False
    """Whether the alternatives are to open as soon as the text is on hold."""
    sought = ""
    """What was looked for last."""

    def action_scroll_text(self, how: str) -> None:
        """Moves the view of the text by a line, a page, or to its start.

        Up and down change the temperature of a pane that has one of its own and is chosen.
        """
        if how in {"up", "down"} and self._change_in_pane(1 if how == "up" else -1):
            return
        match how:
            case "up":
                self.pane.scroll_lines(-1)
            case "down":
                self.pane.scroll_lines(1)
            case "pageup":
                self.pane.scroll_pages(-1)
            case "pagedown":
                self.pane.scroll_pages(1)
            case _:
                self.pane.scroll_to_start()

    def action_show_alternatives(self) -> None:
        """Holds the text and looks at what else could have been written."""
        if self.state.writing.held:
            self._open_alternatives()
        else:
            self.alternatives_wanted = True
            self.held = True
            self.post(HoldWriting())

    def writing_stands(self) -> None:
        """Opens the alternatives once the text is on hold, where they were asked for."""
        if self.alternatives_wanted:
            self.alternatives_wanted = False
            self._open_alternatives()

    def _open_alternatives(self) -> None:
        if not self.past.characters:
            self.say("There is no text to look back at yet.", severity="warning")
            return

        def answered(choice: tuple[int, str] | None) -> None:
            if choice is not None:
                self.post(ForkWriting(back=choice[0], character=choice[1]))
                self.held = False
                self.post(ContinueWriting())

        screen = AlternativesScreen(tuple(self.past.characters), ascii_only=self.settings.ascii)
        self.push_screen(screen, answered)

    def action_return_to_trunk(self) -> None:
        """Takes back the forks."""
        if self.past.forked:
            self.post(ReturnToTrunk())
        else:
            self.say("The text has no fork to go back from.")

    def action_next_ink(self) -> None:
        """Colours the text by something else, or not at all."""
        ink = self.pane.ink
        ink.kind = INKS[(INKS.index(ink.kind) + 1) % len(INKS)]
        self.pane.refresh()
        self.draw_title()
        if ink.kind == "unit" and self.unit is None:
            self.action_next_unit()
        elif ink.kind == "novelty" and ink.text_missing:
            self.say_text_is_missing()
        else:
            self.say(_INK_WORDS[ink.kind])

    def action_next_unit(self) -> None:
        """Watches the next of the units that track something."""
        units = self.state.units
        if not units:
            self.say("The units are ranked a few seconds after the training began.")
            return
        features = [unit.feature for unit in units]
        known = self.unit is not None and self.unit.feature in features
        here = features.index(self.unit.feature) if self.unit is not None and known else -1
        self.unit = units[(here + 1) % len(units)]
        self.post(WatchUnit(layer=self.unit.layer, unit=self.unit.unit))
        self.draw_title()
        feature = one_line(self.unit.feature, 40)
        self.say(
            f"Unit {self.unit.unit}, layer {self.unit.layer + 1}: {feature}, "
            f"correlation {self.unit.correlation:.2f}"
        )

    def action_follow(self) -> None:
        """Goes to the newest text and stays there."""
        self.pane.follow()

    def action_find(self) -> None:
        """Asks for words and goes to where they stand last."""

        def answered(words: str | None) -> None:
            if words:
                self.sought = words
                self.action_find_next(1)

        self.push_screen(FindEntry(self.sought), answered)

    def action_find_next(self, direction: int) -> None:
        """Goes to the next place of the words, upwards; downwards where negative."""
        if not self.sought:
            self.action_find()
        elif not self.pane.find(self.sought, direction):
            self.say(f"“{one_line(self.sought, 40)}” does not stand there.", severity="warning")

    def action_copy_text(self) -> None:
        """Copies the text since the last restart through the terminal."""
        text = encodable(self.pane.transcript.current_text)
        kept = text.encode()[-CLIPBOARD_BYTES:].decode(errors="ignore")
        if not kept:
            self.say("There is no text to copy yet.", severity="warning")
            return
        self.copy_to_clipboard(kept)
        cut = "the last " if len(kept) < len(text) else ""
        self.say(
            f"Copied {cut}{grouped(len(kept))} characters through the terminal (OSC 52). "
            "If yours does not take them, w writes a file."
        )
