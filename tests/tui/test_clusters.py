"""Clusters: what is drawn for them, in as many cells by every count."""

from __future__ import annotations

import unicodedata

import pytest
from cell_terminals import CLUSTERS, CODE_POINTS, CellTerminal, Counting
from foreign_clusters import CLUSTER_TEXTS, EXAMPLES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui.clusters import MARKS_PER_BASE, STAND_INS, begun, clusters_of, extended, is_mark
from tui.sanitise import drawn, drawn_apart, one_line, replace_unprintable
from tui.view.line_wrapper import LineWrapper
from tui.view.transcript import Transcript
from tui.widgets.symbols import symbol_label
from tui.widths import cells_of, is_disputed, width_of

EVERYTHING = "".join(map(chr, range(0x20, 0x110000)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("👍🏽!", "👍◑!"),
        ("🇧🇷🇩🇪", "ⒷⓇⒹⒺ"),
        ("👩‍👩‍👧‍👦", "👩👩👧👦"),
        ("1️⃣", "1\u20e3"),
        ("☺️ ☺︎", "☺ ☺"),
        ("🏻🏼🏽🏾🏿" * 2, "○◔◑◕●" * 2),
        ("\u200d🇧\u200d", "Ⓑ"),
        (unicodedata.normalize("NFD", "한국어"), "한국어"),
        ("\u1112\u1112\u1161", "ㅎ하"),
        ("\u1161\u11ab", "ㅏㄴ"),
        ("a\u1161", "aㅏ"),
        ("\u115f\u3164", "\ufffd\ufffd"),
        ("क्षत्रिय", "क्षत्रिय"),
        ("\u093eक", "◌क"),
        ("\u0301e\u0301", "e\u0301"),
        ("日本 é Жук", "日本 é Жук"),
    ],
)
def test_what_is_drawn(text: str, shown: str) -> None:
    assert drawn(text) == shown


def test_a_conjunct_is_one_cluster_with_its_signs() -> None:
    assert clusters_of("क्षि" + "य") == ["क्षि", "य"]
    assert clusters_of("ক্ষ" + "ﾊﾞ" + "กำ") == ["ক্ষ", "ﾊﾞ", "กำ"]


@given(CLUSTER_TEXTS)
def test_what_is_drawn_is_drawn_as_it_is(text: str) -> None:
    shown = drawn(text)
    assert drawn(shown) == shown
    assert drawn_apart(shown) == shown
    assert not set(shown) & set(STAND_INS)


@given(CLUSTER_TEXTS)
def test_the_marks_of_a_cluster_are_few_and_its_cells_are_the_sum(text: str) -> None:
    for cluster in clusters_of(replace_unprintable(text)):
        assert cluster
        height = 0
        for character in cluster:
            height = height + 1 if is_mark(character) else 0
            assert height <= MARKS_PER_BASE
        assert width_of(cluster) == sum(map(cells_of, cluster)) >= 1


@given(CLUSTER_TEXTS, st.integers(2, 30))
def test_lines_hold_the_clusters_that_are_drawn_elsewhere(text: str, width: int) -> None:
    """One mechanism: the text that grows by code points gives what the whole gives at once."""
    shown = replace_unprintable(text.replace(" ", ""))
    clusters = clusters_of(shown)
    if any(width_of(cluster) > width for cluster in clusters):
        return
    wrapper = LineWrapper(width)
    for character in shown:
        wrapper.add(character, "text")
    lines = [*(line for _, line in wrapper.finished), wrapper.open_line]
    texts = ["".join(piece.text for piece in line) for line in lines]
    assert "".join(texts) == "".join(clusters) == drawn(text.replace(" ", ""))
    assert all(width_of(line) <= width for line in texts)
    assert [cluster for line in texts for cluster in clusters_of(line)] == clusters, "none is cut"
    assert wrapper.position == len(shown)


@given(CLUSTER_TEXTS, st.integers(2, 30))
def test_every_piece_begins_at_its_place_in_the_text(text: str, width: int) -> None:
    transcript = Transcript(width)
    for character in text:
        transcript.append(character)
    assert transcript.text == text, "what is copied is what was written"
    for index in range(transcript.line_count):
        for piece in transcript.line(index):
            for cluster, place in zip(clusters_of(piece.text), range(len(text)), strict=False):
                written = replace_unprintable(text[piece.start + place])
                assert cluster[0] in {begun(written), unicodedata.normalize("NFC", cluster)[0]}


@pytest.mark.parametrize("counting", [CODE_POINTS, CLUSTERS], ids=lambda counting: counting.name)
def test_every_undisputed_code_point_takes_as_many_cells_by_every_count(
    counting: Counting,
) -> None:
    wrong = [
        f"U+{ord(character):04X}"
        for character in set(drawn_apart(EVERYTHING))
        if not is_disputed(character) and counting.cells(character) != cells_of(character)
    ]
    assert sorted(wrong) == []


@pytest.mark.parametrize("counting", [CODE_POINTS, CLUSTERS], ids=lambda counting: counting.name)
@settings(max_examples=300)
@given(text=CLUSTER_TEXTS)
@example("".join(EXAMPLES))
def test_an_undisputed_text_takes_as_many_cells_by_every_count(
    counting: Counting, text: str
) -> None:
    shown = "".join(cluster for cluster in clusters_of(text) if not is_disputed(cluster))
    terminal = CellTerminal(4 * len(text) + 8, 1, counting)
    terminal.feed(f"|{shown}|")
    assert terminal.row(0).rstrip() == f"|{shown}|"
    assert terminal.at(1 + width_of(shown), 0) == "|"


def test_a_name_keeps_to_its_limit() -> None:
    assert one_line("🇧🇷" * 50, 10) == "ⒷⓇⒷⓇⒷⓇⒷⓇⒷ…"
    assert extended("", "\u0301") == ""


@pytest.mark.parametrize(
    ("character", "label"),
    [("\u200d", "ZWJ"), ("\ufe0f", "VS16"), ("\u0301", "◌\u0301"), ("ि", "◌ि"), ("🇧", "Ⓑ")],
)
def test_a_code_point_without_a_cell_has_a_label_that_is_seen(character: str, label: str) -> None:
    assert symbol_label(character) == label
