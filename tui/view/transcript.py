"""The written text, as lines that fit a pane.

Text arrives a few characters at a time and is wrapped at words as it comes: appending costs what
the new characters cost, however long the text is. Between the characters stand *marks* (where the
temperature changed), *prompts* and *rules* (where a new text started); each piece knows what it
is, so that a screen can draw ours unlike the model's. The text itself is kept as it was written,
for copying; what the lines hold is printable. This module knows no widget and no colour.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal

from tui.sanitise import replace_unprintable
from tui.view.line_wrapper import MINIMUM_WIDTH, Kind, Line, LineWrapper, Piece
from tui.widths import width_of

MAXIMUM_CHARACTERS: Final = 100_000
"""Characters kept for copying, and for wrapping when the width changes."""
MAXIMUM_LINES: Final = 2_000
"""Lines that can be scrolled back to."""
_CHUNK: Final = 1_000


class Transcript:
    """The text so far: as written, and as lines of the current width."""

    def __init__(
        self,
        width: int = 78,
        *,
        maximum_characters: int = MAXIMUM_CHARACTERS,
        maximum_lines: int = MAXIMUM_LINES,
    ) -> None:
        self._maximum_characters = maximum_characters
        self._maximum_lines = maximum_lines
        self._chunks: deque[Piece] = deque()
        self._characters = 0
        self._lines: list[Line] = []
        self._starts: list[int] = []
        self._wrapper = LineWrapper(width)
        self._last_mark: str | None = None
        self.trimmed = 0
        """Lines dropped from the front since the width was last set."""

    @property
    def width(self) -> int:
        """Cells that a line may take."""
        return self._wrapper.width

    @property
    def line_count(self) -> int:
        """Lines that are kept, the open one included."""
        return len(self._lines) + 1

    @property
    def position(self) -> int:
        """Position in the stream of the next character; see `place_of`."""
        return self._wrapper.position

    @property
    def cursor_cell(self) -> int:
        """Width of the open line, cells: the column of the next character."""
        return self._wrapper.open_cells

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added yet."""
        return not self._chunks

    @property
    def text(self) -> str:
        """What was written and kept, prompts included, texts apart by a blank line."""
        pieces = [piece for piece in self._chunks if piece.kind != "mark"]
        if pieces and pieces[0].kind == "rule":  # what it stood behind is not kept any more
            del pieces[0]
        return "".join(piece.text if piece.kind != "rule" else "\n\n" for piece in pieces)

    @property
    def current_text(self) -> str:
        """What was written since the last restart, prompt included, exactly as it came."""
        parts: list[str] = []
        for piece in reversed(self._chunks):
            if piece.kind == "rule":
                break
            if piece.kind != "mark":
                parts.append(piece.text)
        return "".join(reversed(parts))

    @property
    def pieces(self) -> Iterator[Piece]:
        """Everything that is kept, with its positions in the stream, the oldest first."""
        position = self._first_position()
        for piece in self._chunks:
            yield replace(piece, start=position)
            position += _units(piece)

    def line(self, index: int) -> Line:
        """Returns the kept line ``index``; the last one is open, those beyond it are empty."""
        if index < len(self._lines):
            return self._lines[index]
        return self._wrapper.open_line if index == len(self._lines) else ()

    def append(self, text: str, kind: Literal["text", "prompt"] = "text") -> None:
        """Appends text of the model, or a prompt."""
        if not text:
            return
        self._last_mark = None
        self._remember(text, kind)
        self._wrap(Piece(kind, text))
        self._take_finished()

    def mark(self, label: str) -> None:
        """Marks the end of the text; replaces a mark that no character has followed."""
        self.unmark()
        self._last_mark = label
        self._chunks.append(Piece("mark", label))
        self._wrapper.add_mark(label)
        self._take_finished()

    def unmark(self) -> None:
        """Removes a mark that no character has followed."""
        if self._last_mark is not None:
            self._wrapper.remove_mark(len(self._last_mark))
            self._chunks.pop()
            self._last_mark = None

    def replace_end(self, count: int, text: str, mark: str | None) -> None:
        """Replaces the last characters that the model wrote.

        Args:
            count: characters to take back; a prompt and what is before it stay.
            text: what stands there instead.
            mark: a mark before it, or None.
        """
        self.unmark()
        first = self._first_position()
        while count > 0 and self._chunks and self._chunks[-1].kind in {"text", "mark"}:
            last = self._chunks.pop()
            if last.kind == "mark":
                continue
            kept = last.text[: max(0, len(last.text) - count)]
            self._characters -= len(last.text) - len(kept)
            count -= len(last.text) - len(kept)
            if kept:
                self._chunks.append(Piece("text", kept))
        self._wrap_anew(self._wrapper.width, first)
        if mark is not None:
            self.mark(mark)
        self.append(text)

    def restart(self, label: str, prompt: str) -> None:
        """Starts a new text: a rule, except before the first, and the prompt."""
        self._last_mark = None
        if self._chunks:
            self._chunks.append(Piece("rule", label))
            self._wrapper.add_rule(label)
            self._take_finished()
        self.append(prompt, "prompt")

    def set_width(self, width: int) -> None:
        """Wraps all lines for a new width."""
        if max(MINIMUM_WIDTH, width) != self._wrapper.width:
            self._wrap_anew(width, self._first_position())

    def position_of(self, back: int) -> int | None:
        """Returns the position of a character of the current text that the model wrote.

        Args:
            back: 1 for the last character, 2 for the one before it.

        Returns:
            None if fewer are kept.
        """
        for start, length in self._written_backwards():
            if back <= length:
                return start + length - back
            back -= length
        return None

    def back_at(self, index: int, cell: int) -> int | None:
        """Returns how many characters back the one in a cell of a line is; None without one."""
        used = 0
        for piece in self.line(index):
            for place, character in enumerate(piece.text):
                used += width_of(character)
                if cell < used:
                    return self.back_of(piece.start + place) if piece.kind == "text" else None
        return None

    def back_of(self, position: int) -> int | None:
        """Returns what `position_of` turns into this position; None where no character is."""
        after = 0
        for start, length in self._written_backwards():
            if start <= position < start + length:
                return after + start + length - position
            after += length
        return None

    def _written_backwards(self) -> Iterator[tuple[int, int]]:
        """Yields position and length of what the model wrote in the current text, newest first."""
        position = self.position
        for piece in reversed(self._chunks):
            if piece.kind == "rule":
                return
            position -= _units(piece)
            if piece.kind == "text":
                yield position, len(piece.text)

    def _first_position(self) -> int:
        """Returns the position of the oldest character that is kept."""
        return self._wrapper.position - sum(_units(piece) for piece in self._chunks)

    def _wrap_anew(self, width: int, first: int) -> None:
        """Wraps the kept text, from the position of its first character."""
        self._wrapper = LineWrapper(width)
        self._wrapper.position = self._wrapper.open_start = first
        self._lines.clear()
        self._starts.clear()
        for piece in self._chunks:
            self._wrap(piece)
        self._take_finished()
        self.trimmed = 0

    def place_of(self, index: int) -> int:
        """Returns the start of line ``index`` in the text; stays valid when the width changes."""
        return self._starts[index] if index < len(self._starts) else self._wrapper.open_start

    def line_at(self, place: int) -> int:
        """Returns the line that holds this place of the text."""
        if place >= self._wrapper.open_start:
            return len(self._lines)
        return max(0, bisect_right(self._starts, place) - 1)

    def _wrap(self, piece: Piece) -> None:
        """Hands a printable piece to the wrapper."""
        if piece.kind == "mark":
            self._wrapper.add_mark(piece.text)
        elif piece.kind == "rule":
            self._wrapper.add_rule(piece.text)
        else:
            self._wrapper.add(replace_unprintable(piece.text, keep_newlines=True), piece.kind)

    def _take_finished(self) -> None:
        """Takes finished lines from the wrapper; drops the oldest above the maximum."""
        for start, line in self._wrapper.finished:
            self._starts.append(start)
            self._lines.append(line)
        self._wrapper.finished.clear()
        excess = len(self._lines) - self._maximum_lines
        if excess > self._maximum_lines // 10:
            del self._lines[:excess], self._starts[:excess]
            self.trimmed += excess

    def _remember(self, text: str, kind: Kind) -> None:
        """Keeps the written text; drops the oldest above the maximum."""
        if len(text) > self._maximum_characters:
            text = text[-self._maximum_characters :]
        for start in range(0, len(text), _CHUNK):
            part = text[start : start + _CHUNK]
            last = self._chunks[-1] if self._chunks else None
            if last and last.kind == kind and len(last.text) + len(part) <= _CHUNK:
                self._chunks[-1] = Piece(kind, last.text + part)
            else:
                self._chunks.append(Piece(kind, part))
        self._characters += len(text)
        while self._characters > self._maximum_characters:
            oldest = self._chunks.popleft()
            if oldest.kind not in {"text", "prompt"}:
                continue
            spare = self._characters - self._maximum_characters
            if len(oldest.text) > spare:
                self._chunks.appendleft(Piece(oldest.kind, oldest.text[spare:]))
            self._characters -= min(spare, len(oldest.text))


def _units(piece: Piece) -> int:
    """Positions in the stream that a piece takes."""
    return len(piece.text) if piece.kind in {"text", "prompt"} else 1
