"""Themes: ours for any colour vision, the user's own, and terminals with few colours or none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, training
from rich.color import Color, ColorSystem
from rich.style import Style
from textual.widgets import DataTable, Input

from model.errors import ConfigError
from tui.cli.commands.app import _terminal_has_few_colors
from tui.cli.main import run
from tui.config.screen_settings import PLAIN_THEME, ScreenSettings
from tui.config.themes import OKABE_ITO, require_theme
from tui.widgets.painted import PAINTS

READ = ("text", "prompt", "mark", "rule", "found")
INKS = {
    "surprise": [f"surprise-{level}" for level in range(5)],
    "unit": [f"unit-{level}" for level in range(5)],
    "novelty": ["new", "copied"],
}
PAINTS_TO_READ = [paint for paint in PAINTS if paint not in {"faint", "edge"}]
"""Those that letters are drawn with; the others draw tracks and frames."""
MACHADO: dict[str, Any] = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""What dichromats see of linear red, green and blue (Machado, Oliveira & Fernandes 2009)."""


def linear(color: Color) -> np.ndarray:
    encoded = np.array(color.get_truecolor()) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def contrast(style: Style) -> float:
    """The ratio of WCAG 2."""
    assert style.color is not None
    assert style.bgcolor is not None
    weights = np.array([0.2126, 0.7152, 0.0722])
    lights = sorted(float(linear(color) @ weights) for color in (style.color, style.bgcolor))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear red, green and blue, under D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(np.clip(to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089], 1e-6, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def ink_style(it: Opened, name: str) -> Style:
    return it.app.pane.get_component_rich_style(f"ink--{name}")


def read_styles(it: Opened) -> Iterator[tuple[str, Style]]:
    """Everything that letters are drawn with."""
    for paint in PAINTS_TO_READ:
        yield paint, it.app.main_screen.run_pane.get_component_rich_style(f"paint--{paint}")
    for kind in READ:
        yield kind, it.app.pane.get_component_rich_style(f"writing--{kind}")
    for names in INKS.values():
        for name in names:
            yield name, ink_style(it, name)


def signs(style: Style) -> tuple[bool, ...]:
    """What is left of a style where there is no colour."""
    shapes = (style.bold, style.dim, style.italic, style.underline, style.reverse)
    return tuple(map(bool, shapes))


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


# --- colour vision --------------------------------------------------------------------------------


@on_a_loop
async def test_every_letter_of_our_theme_stands_out_from_its_ground() -> None:
    async with opened(*training(), theme=OKABE_ITO.name) as it:
        assert it.app.theme == OKABE_ITO.name
        for name, style in read_styles(it):
            assert contrast(style) >= 4.5, (name, style)


@on_a_loop
async def test_signal_colours_of_our_theme_differ_for_every_colour_vision() -> None:
    async with opened(*training(), theme=OKABE_ITO.name) as it:
        for vision in MACHADO.values():
            seen = {}
            for name in ("good", "bad", "warn", "accent", "value"):
                style = it.app.main_screen.run_pane.get_component_rich_style(f"paint--{name}")
                assert style.color is not None
                seen[name] = lab(np.array(vision) @ linear(style.color))
            for one, other in combinations(seen, 2):
                difference = float(np.linalg.norm(seen[one] - seen[other]))
                assert difference > 15, "just noticeable are two or three"


# --- few colours, or none -------------------------------------------------------------------------


@on_a_loop
async def test_each_level_of_an_ink_has_a_sign_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(*training()) as it:
        plain = signs(it.app.pane.get_component_rich_style("writing--text"))
        for names in INKS.values():
            shapes = [signs(ink_style(it, name)) for name in names]
            assert len(set(shapes)) == len(shapes)
            assert (plain in shapes) == (names == INKS["surprise"])


@pytest.mark.parametrize("theme", ["tokyo-night", "okabe-ito"])
@on_a_loop
async def test_letters_stay_legible_where_there_are_few_colours(theme: str) -> None:
    async with opened(*training(), theme=theme) as it:
        for system in (ColorSystem.STANDARD, ColorSystem.EIGHT_BIT):
            for name, style in read_styles(it):
                assert style.color is not None
                assert style.bgcolor is not None
                colors = (style.color.downgrade(system), style.bgcolor.downgrade(system))
                assert contrast(Style(color=colors[0], bgcolor=colors[1])) >= 2.0, (name, colors)


def test_a_terminal_of_sixteen_colours_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLORTERM", raising=False)
    for term, few in (("xterm", True), ("xterm-256color", False)):
        monkeypatch.setenv("TERM", term)
        assert _terminal_has_few_colors() == few
    assert ScreenSettings(few_colors=True).theme_name(no_color=False) == PLAIN_THEME
    asked = ScreenSettings(few_colors=True, theme="nord")
    assert asked.theme_name(no_color=False) == "nord", "what was asked for goes first"


@on_a_loop
async def test_no_color_leaves_no_colour_and_all_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(*training(), *characters("some text"), theme="nord") as it:
        assert it.app.theme == PLAIN_THEME
        assert drawn_colours(it) == {"default"}
        await it.press("c")
        assert {signs(ink_style(it, name)) for name in INKS["surprise"]} >= {(False,) * 5}
        await it.press("t")
        style = it.app.screen.query_one(Input).get_component_rich_style("input--cursor")
        assert style.reverse
        assert drawn_colours(it) == {"default"}


def drawn_colours(it: Opened) -> set[str]:
    """Colours of all that is on the screen, as the terminal gets them."""
    app = it.app
    found = set()
    for strip in app.screen._compositor.render_strips():
        filtered = strip
        for item in app._filters:
            filtered = filtered.apply_filter(item, app.screen.background_colors[1])
        for segment in filtered:
            style = segment.style or Style()
            found |= {color.name for color in (style.color, style.bgcolor) if color is not None}
    return found


@on_a_loop
async def test_an_empty_no_color_is_no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    async with opened(*training()) as it:
        assert it.app.theme == ScreenSettings().theme_name(no_color=False)
        assert len(drawn_colours(it)) > 3


@on_a_loop
async def test_without_colour_the_chosen_row_is_reversed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(*training(), root=tmp_path) as it:
        await it.press("o")
        table = it.app.screen.query_one(DataTable)
        assert table.get_component_rich_style("datatable--cursor").reverse
        await it.press("escape", "q")
        button = it.app.screen.query_one("#save")
        assert button.rich_style.reverse or button.styles.text_style.reverse


# --- the user's own -------------------------------------------------------------------------------

MINE = {"mine": {"primary": "#123456", "background": "#ffffff", "dark": False}}


@on_a_loop
async def test_a_theme_of_the_users_own_is_worn_and_offered() -> None:
    async with opened(*training(), themes=MINE, theme="mine") as it:
        assert it.app.theme == "mine"
        assert it.app.current_theme.dark is False
        assert it.app.current_theme.primary == "#123456"
        assert {"mine", "okabe-ito"} <= set(it.app.available_themes)


def test_a_name_that_is_none_is_refused_with_those_that_are() -> None:
    require_theme(None, [], "--theme")
    require_theme("okabe-ito", [], "--theme")
    require_theme("mine", ["mine"], "--theme")
    with pytest.raises(ConfigError) as caught:
        require_theme("okabe-iro", ["mine"], "--theme")
    sentence = str(caught.value)
    assert sentence.startswith("--theme: there is no theme 'okabe-iro'; did you mean 'okabe-ito'?")
    assert "mine, monokai, nord" in sentence


def test_the_command_line_refuses_a_theme_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    monkeypatch.setenv("CHARLM_CONFIG", str(own))
    monkeypatch.setenv("CHARLM_CHECKPOINTS", str(tmp_path / "runs"))
    monkeypatch.setenv("TEXTUAL_FPS", "15")
    assert run(["--theme", "nrd"]) == 2
    assert "--theme: there is no theme 'nrd'; did you mean 'nord'?" in capsys.readouterr().err
    own.write_text('[defaults]\n\ntheme = "mime"\n[themes.mine]\nprimary = "#fff"\n')
    assert run([]) == 2
    error = capsys.readouterr().err
    assert f"{own}, line 3: there is no theme 'mime'; did you mean 'mine'?" in error
    assert not (tmp_path / "runs").exists()
