"""What is pasted into a field keeps all of its lines (C18)."""

from __future__ import annotations

import pytest
from app_opened import opened
from app_script import on_a_loop, training
from textual.events import Paste

from model.commands import RestartWriting, SetSampling
from model.config import SamplingConfig
from tui.screens.entry import MAX_ENTRY_CHARACTERS, SafeInput

ENTER = "\r"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@on_a_loop
async def test_lines_pasted_into_the_prompt_are_all_there(end: str) -> None:
    async with opened(*training()) as it:
        await it.type("i\x15")
        await it.post(Paste(f"one{end}{end}two\tthree{end}"))
        assert it.app.screen.query_one(SafeInput).value == r"one\n\ntwo\tthree\n"
        await it.type(ENTER)
        assert it.session.commands[-1] == RestartWriting(prompt="one\n\ntwo\tthree\n")


@on_a_loop
async def test_a_bracketed_paste_between_keys_keeps_its_place() -> None:
    async with opened(*training()) as it:
        await it.type("i\x15a\x1b[200~b\nc\x1b[201~d" + ENTER)
        assert it.session.commands[-1] == RestartWriting(prompt="ab\ncd")


@on_a_loop
async def test_lines_pasted_elsewhere_become_one() -> None:
    async with opened(*training()) as it:
        await it.type("/")
        await it.post(Paste("the river\r\nand the bird\n"))
        assert it.app.screen.query_one(SafeInput).value == "the river and the bird"
        await it.type("\x1b[27u" + "t")
        await it.post(Paste("0.7\n"))
        await it.type(ENTER)
        assert it.session.commands[-1] == SetSampling(sampling=SamplingConfig(temperature=0.7))


@pytest.mark.parametrize(("key", "longest"), [("/", 200), ("i", MAX_ENTRY_CHARACTERS)])
@on_a_loop
async def test_what_does_not_fit_is_said(key: str, longest: int) -> None:
    async with opened(*training()) as it:
        await it.type(key + "\x15" + "x")
        await it.post(Paste("word " * 3000))
        value = it.app.screen.query_one(SafeInput).value
        assert value == "x" + ("word " * 3000)[: longest - 1]
        assert it.toasts() == ["The pasted text was too long: its end was cut off."]
