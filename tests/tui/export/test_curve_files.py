"""Files of the curve: words beside the lines, any format, nothing foreign, quiet."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from io import BytesIO
from itertools import combinations, pairwise
from pathlib import Path

import forked
import matplotlib as mpl
import numpy as np
import pytest
from app_script import training
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE
from PIL import Image

from model import events as ev
from tui.export import curve_drawing
from tui.export.curve_figure import CurveFigure, Level, curve_figure
from tui.export.curve_file import SUFFIXES, Suffix, curve_bytes
from tui.view.chart_view import METRICS, ChartView
from tui.view.fold import fold
from tui.view.state import ViewState

REFERENCES = ev.ReferencesMeasured(bits_per_character=(("bz2", 2.6), ("xz", 2.4)))
HOSTILE = '<script>alert(1)</script>&"$\\frac{1}{0}$\x1b[2J\x00\ufffe\ud800\u202e'


def state_of(*events: ev.Event) -> ViewState:
    return fold(ViewState(), events, 0.0)


def figure_of(state: ViewState, view: ChartView | None = None) -> CurveFigure:
    figure = curve_figure(state, view or ChartView())
    assert figure is not None
    return figure


def named(state: ViewState, name: str) -> ViewState:
    assert state.run is not None
    return replace(state, run=replace(state.run, run=name, corpus=name))


DRAWING = """
import sys
from app_script import training
from tui.export.curve_figure import curve_figure
from tui.export.curve_file import curve_bytes
from tui.view.chart_view import ChartView
from tui.view.fold import fold
from tui.view.state import ViewState

figure = curve_figure(fold(ViewState(), training(), 0.0), ChartView())
sys.stdout.buffer.write(curve_bytes(figure, sys.argv[1], dark=True))
"""


def drawn_by_a_process(
    suffix: Suffix, folder: Path, **surroundings: str
) -> subprocess.CompletedProcess[bytes]:
    """Draws in a new process, in a folder and with variables of the environment."""
    return subprocess.run(
        [sys.executable, "-c", DRAWING, suffix],
        cwd=folder,
        env={**forked.environment(), **surroundings},
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )


# --- what it shows ------------------------------------------------------------------------------


def test_the_loss_curve_shows_all_that_there_is() -> None:
    figure = figure_of(state_of(*training(), REFERENCES))
    assert figure.title == "nietzsche: a-run"
    assert figure.facts == "LSTM 1x256, 389k parameters, seed 0, step 40 after 0:00:20"
    assert (figure.across, figure.up) == ("epochs", "nats per character")
    assert [line.kind for line in figure.lines] == ["train", "raw", "validation"]
    assert [level.words for level in figure.levels] == ["bz2 1.80 nats", "xz 1.66 nats"]
    assert figure.best is not None
    assert figure.best[0] == 1.5
    assert figure.best_words.endswith("nats, step 30")


def test_the_unit_and_the_axis_are_those_of_the_screen() -> None:
    state = state_of(*training(), REFERENCES)
    nats, bits = figure_of(state), figure_of(state, ChartView(bits=True, logarithmic=True))
    assert bits.up == "bits per character"
    assert [level.words for level in bits.levels] == ["bz2 2.60 bits", "xz 2.40 bits"]
    for one, other in zip(nats.lines, bits.lines, strict=True):
        ratios = [y / x for (_, x), (_, y) in zip(one.points, other.points, strict=True)]
        assert ratios == pytest.approx([1 / math.log(2)] * len(ratios)), "no logarithms"
    speed = figure_of(state, ChartView(metric="speed"))
    assert (speed.up, speed.levels, speed.best) == ("characters per second", (), None)


def test_there_is_no_figure_without_two_points() -> None:
    assert curve_figure(state_of(*training(1)), ChartView(metric="learning rate")) is None
    assert curve_figure(ViewState(), ChartView()) is None


# --- how it is drawn ----------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    losses=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=2, max_size=30),
    metric=st.sampled_from(METRICS),
    logarithmic=st.booleans(),
    bits=st.booleans(),
    dark=st.booleans(),
)
def test_any_curve_can_be_drawn(
    losses: list[float], metric: str, *, logarithmic: bool, bits: bool, dark: bool
) -> None:
    steps = [
        ev.StepFinished(
            time=float(number), step=number + 1, epoch=1, loss=loss, learning_rate=abs(loss),
            gradient_norm=abs(loss), characters_per_second=abs(loss),
        )
        for number, loss in enumerate(losses)
    ]  # fmt: skip
    view = ChartView(metric=metric, logarithmic=logarithmic, bits=bits)
    figure = curve_figure(state_of(*steps, REFERENCES), view)
    if figure is not None:
        ET.fromstring(curve_bytes(figure, "svg", dark=dark))


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("steps", [3, 40, 3_000])
def test_words_lie_neither_on_curves_nor_on_each_other(steps: int, logarithmic: bool) -> None:
    state = named(state_of(*training(steps), REFERENCES), "W" * 50)
    figure = figure_of(state, ChartView(logarithmic=logarithmic))
    level = figure.lines[0].points[-1][1]
    close = tuple(Level(words=f"bz{n} 10.66 bits", height=level) for n in range(5))
    with mpl.rc_context(curve_drawing._SETTINGS):
        page = curve_drawing._page(replace(figure, levels=close), curve_drawing._LIGHT)
        page.draw_without_rendering()
        (axes,), (legend,) = page.axes, page.legends
        words = [*page.texts, *axes.texts, *legend.get_texts(), axes.xaxis.label, axes.yaxis.label]
        words += [*axes.get_xticklabels(), *axes.get_yticklabels()]
        boxes = [text.get_window_extent() for text in words]
    assert len(axes.texts) == 5
    for box in boxes:
        assert page.bbox.x0 <= box.x0 < box.x1 <= page.bbox.x1
        assert page.bbox.y0 <= box.y0 < box.y1 <= page.bbox.y1
        assert not box.overlaps(axes.bbox)
    for (one, left), (other, right) in combinations(zip(words, boxes, strict=True), 2):
        assert not left.overlaps(right), (one, other)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_names_stand_near_their_lines_and_apart(heights: list[float]) -> None:
    places = curve_drawing.places_of_names(sorted(heights))
    least = curve_drawing._NAME_DISTANCE * (1 - 1e-9)
    assert all(later - place >= least for place, later in pairwise(places))
    assert all(place <= 1 for place in places)
    if len(heights) == 1:
        assert places == heights


def test_labels_of_an_axis_differ_and_lie_in_its_range() -> None:
    for limits in ((0.0, 1.0), (10_100.0, 12_050.0), (1.31e-3, 1.99e-3), (-3.0, 5.0)):
        for logarithmic in (False, True):
            low = max(limits[0], 1e-5) if logarithmic else limits[0]
            ticks, labels = curve_drawing._ticks((low, limits[1]), logarithmic=logarithmic)
            assert 2 <= len(ticks) == len(set(labels)) <= 20
            assert low <= ticks[0] < ticks[-1] <= limits[1]
    assert curve_drawing._ticks((0.9, 1100.0), logarithmic=True)[1] == [
        "1.0", "10", "100", "1.0k",
    ]  # fmt: skip


# --- the files ----------------------------------------------------------------------------------


def test_pixels_show_the_page_and_the_lines_in_their_colours() -> None:
    figure = figure_of(state_of(*training(), REFERENCES))
    for dark, page, train in ((False, "#ffffff", "#0072b2"), (True, "#0c0d10", "#56b4e9")):
        with Image.open(BytesIO(curve_bytes(figure, "png", dark=dark))) as picture:
            assert picture.size == (1920, 1080)
            pixels = np.array(picture.convert("RGB")).reshape(-1, 3)
        share = {
            colour: float((pixels == tuple(bytes.fromhex(colour[1:]))).all(axis=1).mean())
            for colour in (page, train)
        }
        assert share[page] > 0.85
        assert share[train] > 0.001


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_figures_give_equal_bytes_whatever_the_users_settings(
    suffix: Suffix, tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 9\nnonsense: 1\n")
    done = drawn_by_a_process(
        suffix, tmp_path, PYTHONHASHSEED="7", CHARLM_CACHE=str(tmp_path / "x")
    )
    assert done.stderr == b""
    assert done.stdout == curve_bytes(figure_of(state_of(*training())), suffix, dark=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_foreign_names_are_drawn_as_they_are_and_say_nothing(
    suffix: Suffix, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    state = named(state_of(*training()), f"実験 {HOSTILE}")
    data = curve_bytes(figure_of(state), suffix, dark=False)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert b"\x1b[2J" not in data
    if suffix == "svg":
        root = ET.fromstring(data)
        words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
        assert any("$\\frac{1}{0}$" in str(text) and "実験" in str(text) for text in words)
        kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not kinds & {"script", "image", "a", "foreignObject"}
        links = [value for each in root.iter() for key, value in each.items() if "href" in key]
        assert all(link.startswith("#") for link in links)
        assert data.startswith(b"<svg")


def test_without_a_folder_to_write_to_it_draws_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file" / "x")
    surroundings = {"HOME": nowhere, "CHARLM_CACHE": nowhere, "XDG_CACHE_HOME": nowhere}
    done = drawn_by_a_process("svg", tmp_path, TMPDIR=str(tmp_path), **surroundings)
    assert done.stdout.startswith(b"<svg")
    assert done.stderr == b""


def test_the_library_logs_nothing() -> None:
    curve_bytes(figure_of(state_of(*training())), "pdf", dark=False)
    for name in ("matplotlib.font_manager", "fontTools.subset", "PIL.PngImagePlugin"):
        assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)


def test_neither_the_app_nor_a_command_imports_the_library_before_it_is_asked() -> None:
    code = (
        "import sys, tui.app.app, tui.cli.main, tui.cli.commands.export, tui.widgets.curve_plot\n"
        "print('textual_plot' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=forked.environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout == "True False\n"
