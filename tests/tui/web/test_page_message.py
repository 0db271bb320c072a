"""What a page may say: anything else is nothing, and a size is bounded (B4)."""

from __future__ import annotations

import json

import pytest

from tui.web.page_message import (
    FocusChanged,
    PageMessage,
    Ping,
    Resized,
    Typed,
    page_message,
    size_asked_for,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["stdin","a\\u001b[A"]', Typed(text="a\x1b[A")),
        ('["stdin","a","and more"]', None),
        ('["resize",{"width":90,"height":30}]', Resized(columns=90, rows=30)),
        ('["resize",{"width":90,"height":30,"x":1}]', Resized(columns=90, rows=30)),
        ('["resize",{"width":100000,"height":30000}]', Resized(columns=1000, rows=500)),
        ('["resize",{"width":0,"height":-1}]', Resized(columns=1, rows=1)),
        ('["resize",{"width":"90","height":"30"}]', None),
        ('["resize",{"width":90.0,"height":30.0}]', None),
        ('["resize",{"width":true,"height":true}]', None),
        ('["resize",{"width":null,"height":24}]', None),
        ('["resize",{"width":90}]', None),
        ('["resize",{"width":NaN,"height":Infinity}]', None),
        ('["ping","17"]', Ping(word="17")),
        ('["ping",17]', None),
        ('["focus"]', FocusChanged(now="focus")),
        ('["blur"]', FocusChanged(now="blur")),
        ('["quit"]', None),
        ('{"stdin":"a"}', None),
        ('"stdin"', None),
        ("17", None),
        ("", None),
        ("nonsense", None),
        ("[" * 1_000_000, None),
        ('["resize",{"width":' + "9" * 10_000 + "}]", None),
    ],
)
def test_a_message_is_understood_or_nothing(text: str, message: PageMessage | None) -> None:
    assert page_message(text) == message


def test_a_ping_has_a_bounded_answer() -> None:
    assert page_message(json.dumps(["ping", "x" * 65])) is None


@pytest.mark.parametrize(
    ("width", "height", "columns", "rows"),
    [
        ("90", "30", 90, 30),
        ("20000", "3000", 1000, 500),
        ("0", "-7", 1, 1),
        ("", "", 80, 24),
        ("x", "30", 80, 24),
        ("1e3", "30", 80, 24),
        ("9" * 10_000, "30", 80, 24),
    ],
)
def test_an_address_asks_for_a_size_within_reason(
    width: str, height: str, columns: int, rows: int
) -> None:
    assert size_asked_for(width, height) == Resized(columns=columns, rows=rows)
