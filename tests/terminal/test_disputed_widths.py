"""Scripts whose widths terminals dispute, in a real tmux at 80x24 (C16)."""

from __future__ import annotations

import ctypes
import locale
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import moments
from terminal_harness import PROGRAM, TINY
from tmux_server import Tmux

pytestmark = pytest.mark.terminal

TEXTS = {
    "Devanagari": "निर्माणाधीनविश्वविद्यालयकेविद्यार्थियोंकोहिन्दीभाषामेंपढ़ानाचाहिए",
    "Thai": "กาลครั้งหนึ่งนานมาแล้วมีชายคนหนึ่งอาศัยอยู่ในกระท่อม",
    "Hangul, decomposed": unicodedata.normalize("NFD", "옛날옛적에호랑이가담배피우던시절에"),
    "emoji": "👍🏽👩🏿🎉🏻👋🏼🚀🇩🇪👩‍👩‍👧‍👦1️⃣☺️☺︎",
}
WILD = (
    "👍🏽🏽🏽🏽🏽🏽🏽🏽🏽🏽\u200d\u200d🇧🇷🇩🇪🇧\u200d"
    "👩‍👩‍👧‍👦 1️⃣☺️☺︎\ufe0fﾊﾞกำक्षत्रिय\u1112\u1161\u1161e\u0301\u0301 "
)
"""Whole clusters and broken ones, which a model that learns them writes in any order."""


SIZES = ((80, 24), (40, 10), (120, 40), (200, 60), (61, 17))


@pytest.mark.parametrize("script", TEXTS)
def test_no_line_runs_over_the_border(script: str, tmux: Tmux, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXTS[script] * 200, encoding="utf-8")
    command = [str(PROGRAM), "text.txt", *TINY, "--epochs", "100000", "--rate", "3000"]
    tmux("new-session", "-d", "-x", "80", "-y", "24", *command)
    for _ in moments("rows that are full of text"):
        pane = tmux("capture-pane", "-p")
        rows = [row for row in pane.splitlines() if row.startswith("│")]
        full = [row for row in rows if is_full(row)]
        if len(full) >= 4:
            break
    assert {cells(row) for row in rows} == {80}, pane
    assert all(row.endswith("│") for row in rows), pane


@pytest.mark.parametrize(
    "sizes", [SIZES[:2], pytest.param(SIZES, marks=pytest.mark.slow)], ids=["two", "five"]
)
def test_borders_and_cursor_stay_through_keys_and_sizes(
    sizes: tuple[tuple[int, int], ...], tmux: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text(WILD * 200, encoding="utf-8")
    command = [str(PROGRAM), "text.txt", *TINY, "--epochs", "100000", "--rate", "3000"]
    tmux("new-session", "-d", "-x", "80", "-y", "24", *command)
    for _ in moments("a text"):
        if sum(map(is_full, tmux("capture-pane", "-p").splitlines())) >= 4:
            break
    for columns, rows in sizes:
        tmux("resize-window", "-x", str(columns), "-y", str(rows))
        for key in ("c", "PageUp", "a", "Left", "Escape", "End"):
            tmux("send-keys", key)
            for _ in moments(f"whole borders at {columns}x{rows} after {key}"):
                if has_whole_borders(tmux("capture-pane", "-p"), columns, rows):
                    break


def has_whole_borders(pane: str, columns: int, rows: int) -> bool:
    """Whether each row of a frame ends in the last column, and at most one cursor is shown."""
    lines = pane.splitlines()
    framed = [line for line in lines if line[:1] in {"│", "╭", "╰"}]
    return (
        len(framed) > rows // 2
        and all(line[-1] in "│╮╯" and cells(line) == columns for line in framed)
        and pane.count("▌") <= 1
    )


def is_full(row: str) -> bool:
    return sum(not character.isascii() for character in row) > 30


def cells(row: str) -> int:
    """Cells of a row by the C library, as tmux counts them."""
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    width = ctypes.CDLL(None).wcwidth
    width.argtypes = [ctypes.c_int32]
    return sum(max(0, width(ord(character))) for character in row)
