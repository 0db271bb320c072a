"""What the app writes to files: curve, samples, screen."""

from __future__ import annotations

import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, training

from model import events as ev
from tui.export.new_file import write_new_file
from tui.export.sample_text import sample_text
from tui.export.screen_svg import without_foreign_fonts
from tui.view.fold import fold
from tui.view.sample_history import SAMPLES
from tui.view.state import ViewState


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def until_said(it: Opened, words: str) -> None:
    """The first picture takes a moment, on a busy machine several."""
    await it.until(lambda: any(words in toast for toast in it.toasts()))


def sample(epoch: int, temperature: float) -> ev.SampleRecorded:
    return ev.SampleRecorded(
        time=epoch * 10.0,
        step=epoch * 20,
        epoch=epoch,
        temperature=temperature,
        seed=3,
        prompt="it was ",
        text=f"text of {epoch} at {temperature}",
    )


def state_of(*events: ev.Event) -> ViewState:
    return fold(ViewState(), events, 0.0)


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name", "beginning"),
    [
        ("f", "a-run-loss-1.svg", b"<svg"),
        ("F", "a-run-loss-1.png", b"\x89PNG"),
        ("g", "a-run-samples-1.txt", b"Samples written while training run a-run"),
        ("f12", "a-run-screen-1.svg", b"<svg"),
    ],
)
@on_a_loop
async def test_a_key_writes_a_new_file_and_says_where(
    tmp_path: Path, key: str, name: str, beginning: bytes
) -> None:
    async with opened(*training(), *characters("text"), sample(1, 0.5), text_folder=tmp_path) as it:
        await it.press(key)
        await until_said(it, str(tmp_path / name))
        content = (tmp_path / name).read_bytes()
        assert content.startswith(beginning)
        await it.press(key)
        second = name.replace("-1.", "-2.")
        await until_said(it, second)
        assert (tmp_path / name).read_bytes() == content


@on_a_loop
async def test_the_palette_offers_every_file(tmp_path: Path) -> None:
    async with opened(*training(), text_folder=tmp_path) as it:
        titles = [command.title for command in it.app.get_system_commands(it.app.screen)]
        for words in (
            "curve as SVG (f)", "curve as PNG (F)", "curve as PDF", "samples (g)",
            "Screenshot (F12)",
        ):  # fmt: skip
            assert sum(words in title for title in titles) == 1
        commands = {item.title: item.callback for item in it.app.get_system_commands(it.app.screen)}
        await commands["Screenshot (F12)"]()
        await it.until((tmp_path / "a-run-screen-1.svg").exists)
        commands["Write the curve as PDF"]()
        await until_said(it, "a-run-loss-1.pdf")
        assert (tmp_path / "a-run-loss-1.pdf").read_bytes().startswith(b"%PDF")


@on_a_loop
async def test_a_curve_file_is_as_dark_as_the_theme(tmp_path: Path) -> None:
    async with opened(*training(), text_folder=tmp_path, theme="textual-light") as it:
        await it.press("f")
        await until_said(it, "a-run-loss-1.svg")
        it.app.theme = "okabe-ito"
        await it.press("f")
        await until_said(it, "a-run-loss-2.svg")
    light, dark = ((tmp_path / f"a-run-loss-{number}.svg").read_text() for number in (1, 2))
    assert "fill: #ffffff" in light
    assert "fill: #0c0d10" not in light
    assert "fill: #0c0d10" in dark


@on_a_loop
async def test_a_library_that_cannot_be_imported_is_a_toast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tui.export.curve_drawing", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    async with opened(*training(), text_folder=tmp_path) as it:
        await it.press("f")
        await until_said(it, "matplotlib: cannot be imported (")
        assert not names(tmp_path)


@on_a_loop
async def test_the_screenshot_takes_dialogs_and_fetches_nothing(tmp_path: Path) -> None:
    async with opened(*training(), text_folder=tmp_path) as it:
        await it.press("t", "f12")
        await it.until(lambda: bool(it.toasts()))
        svg = (tmp_path / "a-run-screen-1.svg").read_text(encoding="utf-8")
        ET.fromstring(svg)
        assert "greedy" in svg
        assert "url(" not in svg.replace("url(#", "")
        assert "@font-face" not in svg


@on_a_loop
async def test_what_is_not_there_yet_is_said(tmp_path: Path) -> None:
    async with opened(text_folder=tmp_path) as it:
        for key in ("f", "F"):
            await it.press(key)
            no_curve = "There is no curve to write. The curve appears with the first steps."
            assert it.toasts() == [no_curve]
            it.app.clear_notifications()
        await it.press("g")
        (samples,) = it.toasts()
        assert samples.startswith("There are no samples to write. After each epoch")
        assert not names(tmp_path)


@on_a_loop
async def test_the_curve_is_the_one_that_is_looked_at(tmp_path: Path) -> None:
    async with opened(*training(), text_folder=tmp_path) as it:
        await it.press("right", "f")
        await it.until((tmp_path / "a-run-learning-rate-1.svg").exists)


# --- the file -----------------------------------------------------------------------------------


def test_a_name_from_elsewhere_cannot_lead_astray(tmp_path: Path) -> None:
    for name in ("../../etc/x", "a/b\x00c", "…", "\U0001d4b3" * 300, "-rf"):
        path = write_new_file(tmp_path, name, "text.txt", b"x")
        assert path.parent == tmp_path
        assert path.name[0] not in ".-"
    assert len(list(tmp_path.iterdir())) == 5


def test_a_file_that_could_not_be_finished_is_taken_away(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        with pytest.raises(OSError, match=r"x-text-1\.txt"):
            write_new_file(tmp_path, "x", "text.txt", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not names(tmp_path)


def test_fonts_from_elsewhere_are_left_out() -> None:
    svg = "<style>@font-face { src: url('https://x/y.woff') } .a { font-family: Fira Code }</style>"
    assert "url" not in without_foreign_fonts(svg)
    assert "DejaVu Sans Mono" in without_foreign_fonts(svg)


# --- samples ------------------------------------------------------------------------------------


def test_samples_stand_with_their_loss_in_order() -> None:
    text = sample_text(state_of(*training(), sample(1, 0.2), sample(1, 1.0), sample(2, 0.2)))
    assert text.count("-" * 72) == 3
    head = "epoch 1, step 20, 0:00:10, temperature 0.20, seed 3, validation 1."
    assert head in text
    assert "[it was ]text of 2 at 0.2\n" in text
    assert text.index("text of 1 at 1.0") < text.index("text of 2 at 0.2")


def test_samples_that_were_dropped_are_owned_up_to() -> None:
    many = [sample(number, 0.5) for number in range(SAMPLES + 1)]
    assert "left out; samples.jsonl" in sample_text(state_of(*many))
    assert "left out" not in sample_text(state_of(*many[:3]))


def test_steps_that_a_file_left_out_are_smoothed_over() -> None:
    def steps(every: int) -> list[ev.Event]:
        return [
            ev.StepFinished(
                time=step / 100, step=step, epoch=1, loss=1 + 3 * math.exp(-step / 100),
                learning_rate=0.1, gradient_norm=1.0, characters_per_second=1.0,
            )
            for step in range(1, 1001)
            if step % every == 0
        ]  # fmt: skip

    whole, thinned = state_of(*steps(1)).losses, state_of(*steps(20)).losses
    assert whole.smoothed is not None
    assert thinned.smoothed is not None
    assert thinned.smoothed == pytest.approx(whole.smoothed, abs=0.02)
