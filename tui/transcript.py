"""What the model has written, as lines that fit a pane.

Text arrives a few characters at a time and is wrapped at words as it comes: appending costs what
the new characters cost, however long the text is. Between the characters stand *marks* (where the
temperature changed), *prompts* and *rules* (where the text began anew); each piece knows what it
is, so that a screen can draw ours unlike the model's. The text itself is kept as it was written,
for copying; what the lines hold is printable. This module knows no widget and no colour.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal

from rich.cells import get_character_cell_size

from tui.sanitise import MARKS_PER_BASE, replace_unprintable

Kind = Literal["text", "prompt", "mark", "rule"]

MAXIMUM_CHARACTERS: Final = 200_000
"""Characters kept for copying, and for wrapping anew when the width changes."""
MAXIMUM_LINES: Final = 4_000
"""Lines that can be scrolled back to."""
MINIMUM_WIDTH: Final = 2
"""A narrower pane is wrapped as if it were this wide: a wide character must fit."""

_CHUNK: Final = 1_000
_WORDS: Final = re.compile(r"[^ \n]+| +|\n")
_NO_WIDTH: Final = frozenset("\u200d\ufe0e\ufe0f")
"""Zero width joiner and emoji variation selectors. They change the width of characters that are
already on the screen, and terminals disagree by how much, so the lines leave them out."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a line that is drawn in one way."""

    kind: Kind
    text: str
    start: int = field(default=-1, compare=False)
    """Position in the stream of its first character; of text and prompts the others follow one by
    one, but for combining marks at the very end."""


Line = tuple[Piece, ...]


class LineWrapper:
    """Breaks a stream of characters into lines of at most ``width`` cells.

    The line that is being written is ``open_line``; finished ones are handed to ``finished`` with
    the position in the stream where they began. The same stream gives the same lines, however it
    is cut into calls.
    """

    def __init__(self, width: int) -> None:
        self.width = max(MINIMUM_WIDTH, width)
        self.finished: list[tuple[int, Line]] = []
        self.position = 0
        """Units of the stream taken so far: a character, a mark and a rule are one each."""
        self.open_start = 0
        """Position where the open line began."""
        self._cells: list[str] = []  # one per spacing character, its combining marks with it
        self._kinds: list[Kind] = []
        self._positions: list[int] = []
        self._used = 0  # cells
        self._word = 0  # index where the word that is being written begins
        self._stack = 0  # combining marks on the last character

    @property
    def open_line(self) -> Line:
        """The line that is being written."""
        return self._pieces(len(self._cells))

    @property
    def open_cells(self) -> int:
        """Cells that the open line takes."""
        return self._used

    def add(self, text: str, kind: Kind) -> None:
        """Takes printable text; a line feed ends a line."""
        for match in _WORDS.finditer(text):
            word = match.group()
            first = word[0]
            if first == "\n":
                self.position += 1
                self._break(len(self._cells), next_start=self.position)
            elif first == " ":
                self._add_spaces(len(word), kind)
            elif word.isascii() and len(word) <= self.width:
                self._add_ascii(word, kind)
            else:
                for character in word:
                    self._add_character(character, kind)

    def add_mark(self, text: str) -> None:
        """Takes a mark, which is never broken; a line may be broken on either side of it."""
        mark = text[: self.width]
        if self._used + len(mark) > self.width:
            self._break(len(self._cells), next_start=self.position)
        self._extend(mark, "mark", advance=0)
        self.position += 1
        self._word = len(self._cells)

    def remove_mark(self, length: int) -> None:
        """Takes back the mark of ``length`` characters that was added last."""
        length = min(length, self.width)
        del self._cells[-length:], self._kinds[-length:], self._positions[-length:]
        self._used -= length
        self._word = len(self._cells)
        self.position -= 1

    def add_rule(self, label: str) -> None:
        """Takes a rule: a line of its own."""
        if self._cells:
            self._break(len(self._cells), next_start=self.position)
        self.finished.append((self.position, (Piece("rule", label),)))
        self.position += 1
        self.open_start = self.position

    def _add_spaces(self, count: int, kind: Kind) -> None:
        """Takes spaces; those beyond the end of the line are swallowed by its break."""
        fitting = min(count, self.width - self._used)
        if fitting:
            self._extend(" " * fitting, kind)
        self.position += count - fitting
        self._word = len(self._cells)
        self._stack = 0

    def _add_ascii(self, word: str, kind: Kind) -> None:
        """Takes a word, or the next part of one, whose characters are one cell each."""
        room = self.width - self._used
        if len(word) > room and self._word:
            self._break(self._word, next_start=self._word_start())
            room = self.width - self._used
        if len(word) > room:
            for character in word:
                self._add_character(character, kind)
        else:
            self._extend(word, kind)

    def _add_character(self, character: str, kind: Kind) -> None:
        """Takes one character of any width."""
        cells = 1 if character < "\u0300" else get_character_cell_size(character)
        if cells == 0:
            self._stack += 1
            if self._cells and self._stack <= MARKS_PER_BASE and character not in _NO_WIDTH:
                self._cells[-1] += character
            self.position += 1
            return
        if self._used + cells > self.width and self._word:
            self._break(self._word, next_start=self._word_start())
        if self._used + cells > self.width:
            self._break(len(self._cells), next_start=self.position)
        self._cells.append(character)
        self._kinds.append(kind)
        self._positions.append(self.position)
        self.position += 1
        self._used += cells
        self._stack = 0

    def _extend(self, text: str, kind: Kind, *, advance: int = 1) -> None:
        """Puts characters of one cell each at the end of the open line, which has the room."""
        count = len(text)
        self._cells.extend(text)
        self._kinds.extend([kind] * count)
        self._positions.extend(self.position + advance * index for index in range(count))
        self.position += advance * count
        self._used += count
        self._stack = 0

    def _word_start(self) -> int:
        """Position of the word that is being written."""
        return self._positions[self._word] if self._word < len(self._positions) else self.position

    def _pieces(self, end: int) -> Line:
        """Returns the first ``end`` characters of the open line, alike ones joined."""
        pieces: list[Piece] = []
        index = 0
        for _, group in groupby(range(end), self._run_of):
            count = sum(1 for _ in group)
            text = "".join(self._cells[index : index + count])
            pieces.append(Piece(self._kinds[index], text, self._positions[index]))
            index += count
        return tuple(pieces)

    def _run_of(self, index: int) -> tuple[Kind, int]:
        """Returns what is the same for characters that one piece holds."""
        kind = self._kinds[index]
        return kind, 0 if kind == "mark" else self._positions[index] - index

    def _break(self, end: int, *, next_start: int) -> None:
        """Finishes the open line before its character ``end``; the rest begins the next line."""
        self.finished.append((self.open_start, self._pieces(end)))
        del self._cells[:end], self._kinds[:end], self._positions[:end]
        self.open_start = next_start
        self._used = sum(_cells_of(character) for character in self._cells)
        self._word = 0
        self._stack = self._stack if self._cells else 0


def _cells_of(cluster: str) -> int:
    """Cells of a spacing character with its marks."""
    return 1 if cluster.isascii() else get_character_cell_size(cluster[0])


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
        """Where in the stream the next character goes; see `place_of`."""
        return self._wrapper.position

    @property
    def cursor_cell(self) -> int:
        """Cells of the open line: where the next character goes."""
        return self._wrapper.open_cells

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added yet."""
        return not self._chunks

    @property
    def text(self) -> str:
        """What was written and kept, prompts included, texts apart by a blank line."""
        return "".join(
            piece.text if piece.kind != "rule" else "\n\n"
            for piece in self._chunks
            if piece.kind != "mark"
        ).removeprefix("\n\n")

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

    def line(self, index: int) -> Line:
        """Returns the kept line ``index``; the last one is open, those beyond it are empty."""
        if index < len(self._lines):
            return self._lines[index]
        return self._wrapper.open_line if index == len(self._lines) else ()

    def append(self, text: str, kind: Literal["text", "prompt"] = "text") -> None:
        """Adds what the model wrote, or was given to go on from."""
        if not text:
            return
        self._last_mark = None
        self._remember(text, kind)
        self._wrap(Piece(kind, text))
        self._take_finished()

    def mark(self, label: str) -> None:
        """Marks this place; a mark with no character since is replaced."""
        self.unmark()
        self._last_mark = label
        self._chunks.append(Piece("mark", label))
        self._wrapper.add_mark(label)
        self._take_finished()

    def unmark(self) -> None:
        """Takes back a mark with no character since."""
        if self._last_mark is not None:
            self._wrapper.remove_mark(len(self._last_mark))
            self._chunks.pop()
            self._last_mark = None

    def replace_end(self, count: int, text: str, mark: str | None) -> None:
        """Takes back the last characters that the model wrote and puts others in their place.

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
        """Begins a new text: a rule, unless this is the first, and the prompt."""
        self._last_mark = None
        if self._chunks:
            self._chunks.append(Piece("rule", label))
            self._wrapper.add_rule(label)
            self._take_finished()
        self.append(prompt, "prompt")

    def set_width(self, width: int) -> None:
        """Wraps everything anew, unless the width is the same."""
        if max(MINIMUM_WIDTH, width) != self._wrapper.width:
            self._wrap_anew(width, self._first_position())

    def _first_position(self) -> int:
        """Returns the position of the oldest character that is kept."""
        return self._wrapper.position - sum(_units(piece) for piece in self._chunks)

    def _wrap_anew(self, width: int, first: int) -> None:
        """Wraps what is kept, beginning at the position that its first character has."""
        self._wrapper = LineWrapper(width)
        self._wrapper.position = self._wrapper.open_start = first
        self._lines.clear()
        self._starts.clear()
        for piece in self._chunks:
            self._wrap(piece)
        self._take_finished()
        self.trimmed = 0

    def place_of(self, index: int) -> int:
        """Returns where in the text the line ``index`` begins; it outlives a change of width."""
        return self._starts[index] if index < len(self._starts) else self._wrapper.open_start

    def line_at(self, place: int) -> int:
        """Returns the line that holds this place of the text."""
        if place >= self._wrapper.open_start:
            return len(self._lines)
        return max(0, bisect_right(self._starts, place) - 1)

    def _wrap(self, piece: Piece) -> None:
        """Hands a piece to the wrapper in printable form."""
        if piece.kind == "mark":
            self._wrapper.add_mark(piece.text)
        elif piece.kind == "rule":
            self._wrapper.add_rule(piece.text)
        else:
            self._wrapper.add(replace_unprintable(piece.text, keep_newlines=True), piece.kind)

    def _take_finished(self) -> None:
        """Moves finished lines over, dropping the oldest where there are too many."""
        for start, line in self._wrapper.finished:
            self._starts.append(start)
            self._lines.append(line)
        self._wrapper.finished.clear()
        excess = len(self._lines) - self._maximum_lines
        if excess > self._maximum_lines // 10:
            del self._lines[:excess], self._starts[:excess]
            self.trimmed += excess

    def _remember(self, text: str, kind: Kind) -> None:
        """Keeps the text as it was written, dropping the oldest where there is too much."""
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
    """How far the wrapper's position moves for a piece."""
    return len(piece.text) if piece.kind in {"text", "prompt"} else 1
