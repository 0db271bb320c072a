"""The pane that shows what the model writes, with few bytes a character.

Over a slow line every byte counts: only the rows that changed are drawn, a row is drawn up to the
cursor only, and where the text reaches the last row the pane moves up several rows at once, so
that the lines being read stand still in between. ``Transcript`` holds the text; this widget knows
which part of it is looked at. Measured at 80x24, 60 characters a second in true colour: about 35
bytes for each character on the wire, frame edges included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.segment import Segment
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from model.events import CharacterWritten
from tui.view.find import Found, Place, next_found, places_of
from tui.view.ink import STYLES, Ink
from tui.view.line_wrapper import Piece
from tui.view.transcript import Transcript
from tui.widgets.styled_once import StyledOnce
from tui.widths import is_disputed

if TYPE_CHECKING:
    from textual import events

ScrollKey = Literal["up", "down", "pageup", "pagedown", "home"]
_WHEEL_LINES = 3


class WritingPane(StyledOnce):
    """The visible part of a transcript: follows its end, or stays where the reader scrolled."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "writing--text",
        "writing--prompt",
        "writing--mark",
        "writing--rule",
        "writing--found",
        *(f"ink--{name}" for name in STYLES),
    }
    ALLOW_SELECT = False

    class Scrolled(Message):
        """The user scrolled, or the pane follows the text again."""

    class Hovered(Message):
        """The mouse is over another character of the text, ``back`` from its end, or over none."""

        def __init__(self, back: int | None) -> None:
            super().__init__()
            self.back = back

    def __init__(self, *, ascii_only: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.transcript = Transcript()
        self.ink = Ink()
        self._ascii_only = ascii_only
        self._top = 0
        self._following = True
        self._trimmed_seen = 0
        self.found: Found | None = None
        """The place of the words that were looked for; it is marked."""
        self._looked_at: int | None = None
        """Position of the character under the cursor of the alternatives."""
        self._followed = True
        """Whether the pane followed the text before that cursor appeared."""
        self._hovered: int | None = None

    @property
    def following(self) -> bool:
        """Whether the end of the text stays visible."""
        return self._following

    @property
    def lines_below(self) -> int:
        """Lines of the text below the pane."""
        return max(0, self.transcript.line_count - self._top - self.size.height)

    @property
    def visible_text(self) -> str:
        """The visible text, without colours."""
        rows = range(self._top, self._top + self.size.height)
        return "\n".join(
            "".join(piece.text for piece in self.transcript.line(row)) for row in rows
        ).rstrip("\n")

    def write(self, written: Sequence[CharacterWritten]) -> None:
        """Appends what the model wrote."""
        before = self._cursor()
        changed = self.ink.add(self.transcript.position, written)
        self.transcript.append("".join(event.character for event in written))
        self._update_from(before)
        if changed is not None:
            self._refresh_places(*changed)

    def mark(self, label: str | None) -> None:
        """Marks the end of the text; None removes the last mark."""
        before = self._cursor()
        if label is None:
            self.transcript.unmark()
        else:
            self.transcript.mark(label)
        self._update_from(before, whole_rows=True)

    def replace_end(self, count: int, text: str, mark: str | None) -> None:
        """Replaces the last ``count`` characters."""
        self.ink.restart()
        self.found = None  # other characters may stand there now
        self.transcript.replace_end(count, text, mark)
        self._trimmed_seen = self.transcript.trimmed
        last = max(0, self.transcript.line_count - 1)
        self._top = self._end_top() if self._following else min(self._top, last)
        self.refresh()
        self.post_message(self.Scrolled())

    def restart(self, label: str, prompt: str) -> None:
        """Starts a new text below the old one."""
        before = self._cursor()
        self.ink.restart()
        self.transcript.restart(label, prompt)
        self._update_from(before, whole_rows=True)

    def follow(self) -> None:
        """Goes to the end and stays there."""
        self.forget_found()
        self._following = True
        self._move_to(self._end_top())

    def scroll_lines(self, lines: int) -> None:
        """Moves by lines, upwards if negative; past the end, the pane follows again."""
        if not lines:
            return
        last = max(0, self.transcript.line_count - self.size.height)
        target = min(self._top, self._end_top()) + lines
        self._following = lines > 0 and target >= last
        self._move_to(self._end_top() if self._following else max(0, target))

    def scroll_pages(self, pages: int) -> None:
        """Moves by pages; one line of the old page stays visible."""
        self.scroll_lines(pages * max(1, self.size.height - 1))

    def scroll_by_key(self, how: ScrollKey) -> None:
        """Moves by a line or a page, or to the oldest line that is kept."""
        match how:
            case "up":
                self.scroll_lines(-1)
            case "down":
                self.scroll_lines(1)
            case "pageup":
                self.scroll_pages(-1)
            case "pagedown":
                self.scroll_pages(1)
            case "home":
                self.scroll_to_start()

    def scroll_to_start(self) -> None:
        """Goes to the oldest line that is kept."""
        self._following = False
        self._move_to(0)

    def find(self, words: str, direction: int) -> bool:
        """Goes to the next place of the words upwards, or downwards if negative, and marks it.

        The search wraps around at the ends of the text, and finds words that a line break splits.

        Returns:
            Whether the lines that are kept contain the words.
        """
        transcript = self.transcript
        places = places_of(words, transcript.pieces, first=transcript.place_of(0))
        before = None if self.found is None else self.found.place
        self.found = next_found(words, places, before, direction)
        self.refresh()
        if self.found is None:
            self.post_message(self.Scrolled())
            return False
        self._following = False
        self._move_to(self._top_around(self.found.place.start))
        return True

    def forget_found(self) -> None:
        """Removes the mark of the found words; the next search starts at the end of the text."""
        if self.found is not None:
            self.found = None
            self.refresh()
            self.post_message(self.Scrolled())

    def look_at(self, back: int | None) -> int | None:
        """Marks a character of the current text and makes it visible; None ends that.

        Args:
            back: how many characters back it is, 1 for the last one.

        Returns:
            The row of the pane where the character stands.
        """
        if self._looked_at is None:
            self._followed = self._following
        self._looked_at = None if back is None else self.transcript.position_of(back)
        self.refresh()
        if self._looked_at is None:
            if self._followed:
                self.follow()
            return None
        self._following = False
        row = self.transcript.line_at(self._looked_at)
        if not 0 <= row - self._top < self.size.height:
            self._move_to(self._top_around(self._looked_at))
        return row - self._top

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Tells which character the mouse is over."""
        self._hover(self.transcript.back_at(self._top + event.y, event.x))

    def on_leave(self) -> None:
        """Tells that the mouse is over no character."""
        self._hover(None)

    def _hover(self, back: int | None) -> None:
        if back != self._hovered:
            self._hovered = back
            self.post_message(self.Hovered(back))

    def on_resize(self, event: events.Resize) -> None:
        """Wraps the text for the new width and keeps the user's place."""
        place = self.transcript.place_of(self._top)
        self.transcript.set_width(event.size.width - 1)  # the last column is the cursor's
        self._trimmed_seen = self.transcript.trimmed
        if self._following:
            self._top = self._end_top()
        elif self.found is not None:
            self._top = self._top_around(self.found.place.start)
        else:
            self._top = self.transcript.line_at(place)
        self.refresh()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scrolls with the wheel."""
        event.stop()
        self.scroll_lines(-_WHEEL_LINES)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scrolls with the wheel."""
        event.stop()
        self.scroll_lines(_WHEEL_LINES)

    def render_line(self, y: int) -> Strip:
        """Draws one row of the pane."""
        width = self.size.width
        row = self._top + y
        line = self.transcript.line(row)
        if line and line[0].kind == "rule":
            return Strip([self._segment(self._rule(line[0], width))]).crop_extend(
                0, width, self.rich_style
            )
        segments = [segment for piece in line for segment in self._inked(piece)]
        if self._is_looked_at_past_end(row):
            sign = "|" if self._ascii_only else "⏎"
            segments.append(Segment(sign, self.component_style("writing--found")))
        if row == self.transcript.line_count - 1:
            # The style of the text saves one change of colour a frame.
            segments.append(self._segment(Piece("text", "_" if self._ascii_only else "▌")))
        used = sum(segment.cell_length for segment in segments)
        segments.append(self._segment(Piece("text", " " * max(0, width - used))))
        return Strip(segments).simplify().crop_extend(0, width, self.rich_style)

    def _inked(self, piece: Piece) -> Iterator[Segment]:
        """Yields a piece as segments: one in its style, or one for each run of the same style."""
        inked = piece.kind == "text" and self.ink.kind != "off"
        if piece.kind == "mark" or not (inked or self._holds_marked(piece)):
            yield self._segment(piece)
            return
        done = 0
        for name, run in groupby(
            range(len(piece.text)), lambda index: self._style_at(piece, index, inked=inked)
        ):
            count = sum(1 for _ in run)
            yield Segment(piece.text[done : done + count], self.component_style(name))
            done += count

    @property
    def _marked(self) -> Place | None:
        """What is marked: the cursor of the alternatives, or the found words."""
        if self._looked_at is not None:
            return Place(self._looked_at, self._looked_at + 1)
        return None if self.found is None else self.found.place

    def _holds_marked(self, piece: Piece) -> bool:
        """Returns whether a part of the piece is marked."""
        place = self._marked
        if place is None:
            return False
        return piece.start < place.end and place.start < piece.start + len(piece.text)

    def _is_looked_at_past_end(self, row: int) -> bool:
        """Returns whether the cursor is on what ended a row: a line feed, or a space at a break."""
        return (
            self._looked_at is not None
            and row == self.transcript.line_at(self._looked_at)
            and not any(self._holds_marked(piece) for piece in self.transcript.line(row))
        )

    def _style_at(self, piece: Piece, index: int, *, inked: bool) -> str:
        """Returns the style of one character of a piece."""
        position, marked = piece.start + index, self._marked
        if marked is not None and marked.start <= position < marked.end:
            return "writing--found"
        ink = self.ink.style_at(position) if inked else None
        return f"writing--{piece.kind}" if ink is None else f"ink--{ink}"

    def _refresh_places(self, first: int, last: int) -> None:
        """Draws the rows that hold these positions."""
        rows = range(self.transcript.line_at(first), self.transcript.line_at(last) + 1)
        regions = [
            Region(0, row - self._top, self.size.width, 1)
            for row in rows
            if 0 <= row - self._top < self.size.height
        ]
        if regions:
            self.refresh(*regions)

    def _segment(self, piece: Piece) -> Segment:
        """Returns a piece in its style."""
        return Segment(piece.text, self.component_style(f"writing--{piece.kind}"))

    def _rule(self, piece: Piece, width: int) -> Piece:
        """Returns a rule drawn across the pane."""
        track = "-" if self._ascii_only else "─"
        text = f"{track * 2} {piece.text} ".ljust(width - 1, track)
        return Piece("rule", text[: width - 1])

    def _cursor(self) -> tuple[int, int]:
        """Returns row (counted from the first line ever) and column of the cursor."""
        transcript = self.transcript
        return transcript.trimmed + transcript.line_count - 1, transcript.cursor_cell

    def _end_top(self) -> int:
        """Returns the first visible line that keeps the end visible."""
        height = max(1, self.size.height)
        if self.transcript.line_count <= height:
            return 0
        jump = max(1, (height + 1) // 3)
        lowest = self.transcript.line_count - height
        current = self._top
        if self._following and lowest <= current < lowest + jump:
            return current
        return lowest + jump - 1

    def _top_around(self, position: int) -> int:
        """Returns the first visible line that puts a position into the middle of the pane."""
        row = self.transcript.line_at(position)
        last = max(0, self.transcript.line_count - self.size.height)
        return min(last, max(0, row - self.size.height // 2))

    def _move_to(self, top: int) -> None:
        """Shows another part of the text."""
        if top != self._top:
            self._top = top
            self.refresh()
        self.post_message(self.Scrolled())

    def _update_from(self, before: tuple[int, int], *, whole_rows: bool = False) -> None:
        """Draws what changed since the cursor was at ``before``."""
        dropped = self.transcript.trimmed - self._trimmed_seen
        if dropped:
            self._trimmed_seen = self.transcript.trimmed
            self._top = max(0, self._top - dropped)
        if self._following and (top := self._end_top()) != self._top:
            self._top = top
            self.refresh()
            return
        regions = tuple(self._changed_regions(before, self._cursor(), whole_rows=whole_rows))
        if regions:  # without any, ``refresh`` would draw everything
            self.refresh(*regions)

    def _is_disputed(self, index: int) -> bool:
        """Returns whether terminals may disagree on the width of a line."""
        return any(is_disputed(piece.text) for piece in self.transcript.line(index))

    def _changed_regions(
        self, before: tuple[int, int], after: tuple[int, int], *, whole_rows: bool
    ) -> Iterator[Region]:
        """Yields the visible regions between two places of the cursor."""
        width, height = self.size
        for row in range(before[0], after[0] + 1):
            y = row - self.transcript.trimmed - self._top
            if not 0 <= y < height:
                continue
            last_row = row == after[0] and row == before[0] and not whole_rows
            if last_row and self._is_disputed(row - self.transcript.trimmed):
                last_row = False  # a part of it would be placed by our count of what is before
            cells = min(width, after[1] + 1) if last_row else width
            start = min(before[1], cells - 1) if last_row else 0
            yield Region(start, y, max(1, cells - start), 1)
