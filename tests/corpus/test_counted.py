"""A number of things in words."""

from __future__ import annotations

from corpus.counted import counted


def test_one_thing_is_singular() -> None:
    assert [counted(count, "stream") for count in (0, 1, 2, 1200)] == [
        "0 streams",
        "1 stream",
        "2 streams",
        "1,200 streams",
    ]
