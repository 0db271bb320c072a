"""What the app writes to files: curve, samples, screen."""

from __future__ import annotations

import math
import struct
import xml.etree.ElementTree as ET
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, training
from hypothesis import given, settings
from hypothesis import strategies as st

from model import events as ev
from tui.export.curve_figure import HEIGHT, WIDTH, curve_figure, round_numbers
from tui.export.figure import Figure, Shape, Sign, Stroke, Words
from tui.export.lettering import strokes_of
from tui.export.new_file import write_new_file
from tui.export.png import png_of
from tui.export.sample_text import sample_text
from tui.export.svg import svg_of, without_foreign_fonts
from tui.view.chart_view import METRICS, ChartView
from tui.view.fold import fold
from tui.view.sample_history import SAMPLES
from tui.view.state import ViewState

SVG = "{http://www.w3.org/2000/svg}"


def pixels(png: bytes) -> np.ndarray:
    """The picture that a viewer would show; wants the filters that are written here."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, data, size = 8, b"", (0, 0)
    while place < len(png):
        length, name = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        (crc,) = struct.unpack(">I", png[place + 8 + length : place + 12 + length])
        assert crc == zlib.crc32(name + body)
        if name == b"IHDR":
            size = struct.unpack(">II", body[:8])
            assert body[8:] == bytes((8, 2, 0, 0, 0)), "8 bits of red, green, blue"
        data += body if name == b"IDAT" else b""
        place += 12 + length
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(size[1], 1 + 3 * size[0])
    assert set(rows[:, 0]) == {2}, "each row is the difference from the one above"
    sums = np.cumsum(rows[:, 1:].astype(np.uint64), axis=0) % 256
    return sums.astype(np.uint8).reshape(size[1], size[0], 3)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def until_said(it: Opened, words: str) -> None:
    """A picture of pixels takes a moment, on a busy machine several."""
    await it.until(lambda: any(words in toast for toast in it.toasts()))


def drawn(*shapes: Shape, width: int = 60, height: int = 40) -> np.ndarray:
    figure = Figure(width=width, height=height, title="", background="#ffffff", shapes=shapes)
    return pixels(png_of(figure, scale=1))


def inked(picture: np.ndarray) -> int:
    return int((picture.sum(axis=2) < 3 * 128).sum())


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


REFERENCES = ev.ReferencesMeasured(bits_per_character=(("bz2", 2.6), ("xz", 2.4)))


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
        for words in ("curve as SVG (f)", "curve as PNG (F)", "samples (g)", "Screenshot (F12)"):
            assert sum(words in title for title in titles) == 1
        command = next(
            item
            for item in it.app.get_system_commands(it.app.screen)
            if item.title.startswith("Screenshot")
        )
        await command.callback()
        await it.until((tmp_path / "a-run-screen-1.svg").exists)


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
        await it.press("f", "F", "g")
        no_curve = "There is no curve to write. The curve appears with the first steps."
        *curves, samples = it.toasts()
        assert curves == [no_curve, no_curve]
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


# --- the figure ---------------------------------------------------------------------------------


def texts(figure: Figure) -> list[str]:
    return [shape.text for shape in figure.shapes if isinstance(shape, Words)]


def test_the_loss_curve_shows_all_that_there_is() -> None:
    figure = curve_figure(state_of(*training(), REFERENCES), ChartView())
    assert figure is not None
    shown = texts(figure)
    assert "nickname" not in shown
    for words in (
        "nietzsche: a-run", "LSTM 1x256, 389k parameters, seed 0, step 40 after 0:00:20",
        "train, smoothed", "train, each batch", "validation", "lowest validation",
        "nats per character", "bits per character", "epochs", "xz 2.40 bits", "bz2 2.60 bits",
    ):  # fmt: skip
        assert words in shown
    assert any(text.startswith("best 1.") and text.endswith("nats, step 30") for text in shown)
    assert sum(isinstance(shape, Sign) and shape.kind == "diamond" for shape in figure.shapes) == 2
    assert sum(isinstance(shape, Stroke) and shape.dash > 0 for shape in figure.shapes) == 2


def test_there_is_no_figure_without_two_points() -> None:
    assert curve_figure(state_of(*training(1)), ChartView(metric="learning rate")) is None
    assert curve_figure(ViewState(), ChartView()) is None


@settings(max_examples=40, deadline=None)
@given(
    losses=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=2, max_size=30),
    metric=st.sampled_from(METRICS),
    recent=st.booleans(),
    logarithmic=st.booleans(),
    bits=st.booleans(),
)
def test_any_curve_stays_on_the_page(
    losses: list[float], metric: str, *, recent: bool, logarithmic: bool, bits: bool
) -> None:
    steps = [
        ev.StepFinished(
            time=float(number), step=number + 1, epoch=1, loss=loss, learning_rate=abs(loss),
            gradient_norm=abs(loss), characters_per_second=abs(loss),
        )
        for number, loss in enumerate(losses)
    ]  # fmt: skip
    view = ChartView(metric=metric, recent=recent, logarithmic=logarithmic, bits=bits)
    figure = curve_figure(state_of(*steps), view)
    if figure is None:
        return
    ET.fromstring(svg_of(figure))
    for shape in figure.shapes:
        places = shape.points if isinstance(shape, Stroke) else (shape.place,)
        assert all(-1 <= x <= WIDTH + 1 and -1 <= y <= HEIGHT + 1 for x, y in places)


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), most=st.integers(2, 12))
def test_round_numbers_are_few_and_inside(low: float, span: float, most: int) -> None:
    found = round_numbers(low, low + span, most)
    assert 1 <= len(found) <= most + 1
    room = 1e-6 * max(span, abs(low))
    assert all(low - room <= number <= low + span + room for number in found)
    steps = np.diff(found)
    if len(steps):
        assert np.allclose(steps, steps[0], rtol=1e-3)
        mantissa = 10 ** (math.log10(steps[0]) % 1)
        assert min(abs(mantissa - digit) for digit in (1, 2, 5, 10)) < 1e-3


def test_foreign_names_stay_text_in_the_svg() -> None:
    state = state_of(*training())
    assert state.run is not None
    hostile = '<script>alert(1)</script>&"\x1b[2J\x00\ufffe'
    figure = curve_figure(
        replace(state, run=replace(state.run, run=hostile, corpus=hostile)), ChartView()
    )
    assert figure is not None
    root = ET.fromstring(svg_of(figure))
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds <= {"svg", "g", "title", "rect", "text", "polyline", "circle", "polygon"}
    assert "\x1b" not in svg_of(figure)
    png_of(figure, scale=1)


def test_fonts_from_elsewhere_are_left_out() -> None:
    svg = "<style>@font-face { src: url('https://x/y.woff') } .a { font-family: Fira Code }</style>"
    assert "url" not in without_foreign_fonts(svg)
    assert "DejaVu Sans Mono" in without_foreign_fonts(svg)


# --- pixels -------------------------------------------------------------------------------------


def test_a_line_covers_its_width_in_its_colour() -> None:
    picture = drawn(Stroke(points=((10, 20), (50, 20)), colour="#0072b2", width=4))
    assert tuple(picture[20, 30]) == (0x00, 0x72, 0xB2)
    assert tuple(picture[25, 30]) == (255, 255, 255)
    column = (255.0 - picture[:, 30, 0]).sum() / 255
    assert column == pytest.approx(4, abs=0.05)


def test_a_line_that_crosses_itself_is_no_darker() -> None:
    cross = ((10, 10), (50, 30), (10, 30), (50, 10))
    picture = drawn(Stroke(points=cross, colour="#808080", width=3))
    assert picture.min() == 0x80


def test_dashes_cover_half_of_a_line() -> None:
    whole = inked(drawn(Stroke(points=((0, 20), (60, 20)), colour="#000000", width=4)))
    dashed = inked(drawn(Stroke(points=((0, 20), (60, 20)), colour="#000000", width=4, dash=6)))
    assert 0.5 * whole <= dashed <= 0.85 * whole, "round ends reach into the gaps"


def test_signs_and_what_leaves_the_page() -> None:
    disc = drawn(Sign(kind="disc", place=(30, 20), radius=10, colour="#000000", rim="#000000"))
    diamond = drawn(
        Sign(kind="diamond", place=(30, 20), radius=10, colour="#000000", rim="#000000")
    )
    assert inked(disc) == pytest.approx(math.pi * 11**2, rel=0.05)
    assert inked(diamond) == pytest.approx(2 * 11**2, rel=0.1)
    far = drawn(
        Stroke(points=((-50, -50), (-10, -10)), colour="#000000"),
        Sign(kind="disc", place=(900, 900), radius=3, colour="#000000", rim="#000000"),
    )
    assert inked(far) == 0


def test_words_stand_where_their_anchor_says() -> None:
    for anchor, columns in (("start", (30, 60)), ("middle", (15, 45)), ("end", (0, 30))):
        words = Words(
            text="HH",
            place=(30, 30),
            size=16,
            colour="#000000",
            anchor=anchor,  # type: ignore[arg-type]
        )
        rows, across = np.nonzero(drawn(words).sum(axis=2) < 500)
        assert columns[0] - 2 <= across.min() < across.max() <= columns[1] + 2
        assert 16 <= rows.min() < rows.max() <= 31


def test_every_printable_letter_has_its_own_strokes() -> None:
    box, _ = strokes_of("\N{SNOWMAN}")
    seen: dict[str, str] = {}
    for code in range(0x21, 0x7F):
        strokes, reach = strokes_of(chr(code))
        assert strokes
        assert strokes != box
        assert 0 <= reach <= 6
        twin = seen.setdefault(repr(strokes), chr(code))
        assert twin == chr(code) or {twin, chr(code)} <= set("0O") | set("lI")
    assert strokes_of("é") == strokes_of("e")
    assert strokes_of("") == ([], 0.0)


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
