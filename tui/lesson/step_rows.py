"""Arranges a step of the lesson as rows of a given width and height. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tui.lesson.conditions import Reading
from tui.lesson.language import FrameWords
from tui.lesson.place import Place
from tui.lesson.step import Step, pieces_of
from tui.widgets.painted import Part, Row, row_width

_SIGNS: Final = {False: ("✓ ", "› ", "· "), True: ("x ", "> ", "- ")}  # noqa: RUF001 - signs
"""Before a task that is done, the one to do now, and a later one; for Unicode and for ASCII."""
_MIN_ROWS_FOR_ALL: Final = 12
"""A lower pane shows only the task to do now, and no empty rows."""
_PAINTS: Final = {"bold": "strong", "key": "key", "figure": "strong"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the pane shows."""

    step: Step
    number: int
    """Counted from one."""
    count: int
    """Number of steps."""
    met: tuple[Reading, ...]
    """Values that fulfilled conditions, in order."""
    waiting: Reading
    """Value of the condition that the step waits for."""
    asks_to_skip: bool
    is_possible: bool
    """Whether this user can do the tasks."""
    keys: Mapping[str, str]
    """The keys as users know them, by the id of their action."""
    figures: Mapping[str, str]
    words: FrameWords

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return len(self.met) >= len(self.step.tasks) or not self.is_possible


def lesson_rows(
    shown: Shown, width: int, height: int, *, place: Place, ascii_only: bool
) -> tuple[list[Row], bool]:
    """Returns the rows, and whether sentences were left out; tasks and keys stay longest.

    Args:
        shown: the step and what is known of it.
        width: of the pane, cells.
        height: of the pane, rows.
        place: in a line, the rows are the title and the task to do now.
        ascii_only: draw with ASCII only; letters lose their accents.
    """
    if place == "line":
        rows, is_cut = _line_rows(shown, width, height), True
    else:
        rows, is_cut = _pane_rows(shown, width, height, ascii_only=ascii_only)
    return ([_in_ascii(row) for row in rows] if ascii_only else rows), is_cut


def whole_rows(shown: Shown, width: int, *, ascii_only: bool) -> list[Row]:
    """Returns title, sentences and tasks in as many rows as they need."""
    rows = [_title(shown), (), *_sentences(shown, width), (), *_tasks(shown, width, ascii_only)]
    return [_in_ascii(row) for row in rows] if ascii_only else rows


def _pane_rows(
    shown: Shown, width: int, height: int, *, ascii_only: bool
) -> tuple[list[Row], bool]:
    is_roomy = height >= _MIN_ROWS_FOR_ALL
    gap: list[Row] = [()] if is_roomy else []
    head = [((f"{shown.words.lesson} {shown.number}/{shown.count}", "label"),), _title(shown)]
    head = [*head, *gap] if is_roomy else head[1:]
    tasks = _tasks(shown, width, ascii_only)
    if not is_roomy:
        tasks = _task(shown, len(shown.met), width, ascii_only)
    sentences = _sentences(shown, width)
    room = height - len(head) - len(tasks) - (len(gap) if tasks else 0)
    foot = [*gap, *_foot(shown, width, is_roomy=is_roomy, is_cut=False)]
    is_cut = len(sentences) > room - len(foot)
    if is_cut:
        foot = [*gap, *_foot(shown, width, is_roomy=is_roomy, is_cut=True)]
        sentences = sentences[: max(0, room - len(foot))]
    middle = [*sentences, *(gap if tasks else []), *tasks]
    return [*head, *middle, *foot][:height], is_cut


def _line_rows(shown: Shown, width: int, height: int) -> list[Row]:
    """Returns number, title and the task to do now; if none is left, the key that goes on.

    The title is left out where both do not fit.
    """
    number: Row = ((f"{shown.number}/{shown.count} ", "label"),)
    if shown.is_done or shown.asks_to_skip:
        words = _going_on(shown)
    else:
        words = (*_painted(shown, shown.step.tasks[len(shown.met)]), *_beside(shown, shown.waiting))
    rows = _wrapped((*number, (f"{shown.step.title}. ", "strong"), *words), width)
    return rows if len(rows) <= height else _wrapped((*number, *words), width)[:height]


def _title(shown: Shown) -> Row:
    return ((shown.step.title, "strong"),)


def _sentences(shown: Shown, width: int) -> list[Row]:
    rows: list[Row] = []
    for paragraph in re.split(r"\n\n+", shown.step.sentences):
        for line in re.split(r"\n(?=- )", paragraph):
            words = line.replace("\n", " ")
            indent = 2 if words.startswith("- ") else 0
            rows += _hung((words[:indent], "label"), _painted(shown, words[indent:]), width)
        rows.append(())
    return rows[:-1]


def _tasks(shown: Shown, width: int, ascii_only: bool) -> list[Row]:
    return [
        row
        for number in range(len(shown.step.tasks))
        for row in _task(shown, number, width, ascii_only)
    ]


def _task(shown: Shown, number: int, width: int, ascii_only: bool) -> list[Row]:
    """Returns a task with its sign; beside the one to do now stands how far it has come."""
    if number >= len(shown.step.tasks):
        return []
    done, now, later = _SIGNS[ascii_only]
    words = _painted(shown, shown.step.tasks[number])
    if number < len(shown.met):
        sign: Part = (done, "good")
        words = tuple((text, "label" if paint == "value" else paint) for text, paint in words)
        words = (*words, *_beside(shown, shown.met[number]))
    elif number == len(shown.met) and shown.is_possible:
        sign, words = (now, "accent"), (*words, *_beside(shown, shown.waiting))
    else:
        sign = (later, "label")
    return _hung(sign, words, width)


def _beside(shown: Shown, reading: Reading) -> Row:
    """Returns the figures of a reading in brackets, with the decimal sign of the language."""
    words = re.sub(r"(?<=\d)\.(?=\d)", shown.words.decimal_point, reading.words)
    return ((f" ({words})", "accent"),) if words else ()


def _going_on(shown: Shown) -> Row:
    """Returns the key of the next step with its words."""
    words = shown.words
    if not shown.is_possible and not shown.asks_to_skip:
        return ((f"{words.spectator} ", "warn"), *_keyed(shown, "lesson.next", words.next))
    if shown.asks_to_skip and not shown.is_done:
        return _painted(shown, words.sure)
    if not shown.is_done:
        return _keyed(shown, "lesson.next", words.skip)
    is_last = shown.number == shown.count
    return _keyed(shown, "lesson.next", words.end if is_last else words.next)


def _foot(shown: Shown, width: int, *, is_roomy: bool, is_cut: bool) -> list[Row]:
    """Returns the rows with the keys of the lesson."""
    words = shown.words
    others = [("lesson.toggle", words.whole if is_cut else words.close)]
    if shown.number > 1:
        others.insert(0, ("lesson.back", words.back))
    row = tuple(
        part for key, name in others for part in (*_keyed(shown, key, name), (" · ", "label"))
    )
    first = _going_on(shown)
    if not is_roomy:
        return _wrapped((*first, (" · ", "label"), *row[:-1]), width)
    return [*_wrapped(first, width), *_wrapped(row[:-1], width)]


def _keyed(shown: Shown, action: str, words: str) -> Row:
    return ((shown.keys[action], "key"), (f" {words}", "label"))


def _painted(shown: Shown, text: str) -> Row:
    """Returns a text with its keys and figures filled in."""
    names = {"key": shown.keys, "figure": shown.figures}
    return tuple(
        (names[kind][name] if kind in names else name, _PAINTS.get(kind, "value"))
        for kind, name in pieces_of(text)
    )


def _hung(head: Part, words: Row, width: int) -> list[Row]:
    """Returns words behind a head, which later rows leave as empty cells."""
    rows = _wrapped(words, width - len(head[0]))
    rest: Part = (" " * len(head[0]), "label")
    return [(head if number == 0 else rest, *row) for number, row in enumerate(rows)]


def _wrapped(parts: Row, width: int) -> list[Row]:
    """Returns parts wrapped at spaces; parts without a space between them stay together."""
    rows: list[list[Part]] = [[]]
    used = 0
    for word in _words(parts):
        cells = row_width(tuple(word))
        if used and used + 1 + cells > width:
            rows.append([])
            used = 0
        if used:
            rows[-1].append((" ", "label"))
            used += 1
        rows[-1] += word
        used += cells
    return [tuple(row) for row in rows if row]


def _words(parts: Row) -> Iterable[list[Part]]:
    """Yields the words; one of several paints has several parts."""
    word: list[Part] = []
    for text, paint in parts:
        for piece in re.split("( )", text):
            if piece == " ":
                if word:
                    yield word
                word = []
            elif piece:
                word.append((piece, paint))
    if word:
        yield word


def _in_ascii(row: Row) -> Row:
    """Returns a row whose letters have lost their accents; other signs become question marks."""
    return tuple((_plain(text), paint) for text, paint in row)


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.translate(str.maketrans("“”·—", '""|-')))
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return bare.encode("ascii", "replace").decode()
