"""The user's own file: what it sets, and what is said of mistakes in it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from app_opened import opened
from app_script import on_a_loop, training
from command_here import assert_one_line, charlm_here

from model.commands import HoldWriting
from model.errors import ConfigError
from model.presets import AUTO, PRESETS
from model.runs.printed_command import USUAL_ROOT
from tui.cli.commands.app import app
from tui.cli.main import run
from tui.config.keys import KEYS
from tui.config.screen_settings import DEFAULT_THEME, ScreenSettings
from tui.config.user_config import (
    COLOURS,
    SETTABLE,
    UserConfig,
    config_path,
    default_map,
    read_config,
)

ACTIONS = [key.id for key in KEYS]


def read(path: Path, text: str) -> object:
    path.write_text(text, encoding="utf-8")
    return read_config(path, ACTIONS, app.params)


def test_defaults_and_keys_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[defaults]\nrate = 30\nascii = true\ntop-k = 5\n[keys]\n"writing.hold" = "h,f5"\n',
        encoding="utf-8",
    )
    config = read_config(path, ACTIONS, app.params)
    assert default_map(config, app.params) == {"rate": 30, "ascii": True, "top_k": 5}
    assert config.keys == {"writing.hold": "h,f5"}
    assert not read_config(tmp_path / "none.toml", ACTIONS, app.params).defaults


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[default]\nrate = 3\n", 1, "did you mean 'defaults'?"),
        ("[defaults]\n\nrat = 3\n", 3, "did you mean 'rate'?"),
        ('[defaults]\nrate = "fast"\n', 2, "not a valid float"),
        ("[defaults]\nascii = 1\n", 2, "true or false"),
        ("[defaults]\nrate = true\n", 2, "cannot be True"),
        ('[keys]\n"writing.hol" = "h"\n', 2, "did you mean 'writing.hold'?"),
        ('[keys]\nwriting.hold = "h"\n', 2, "put it in quotes"),
        ('[keys]\n"writing.hold" = 3\n', 2, "needs keys in quotes"),
        ('[keys]\n"writing.hold" = "z"\n"text.copy" = "z"\n', 3, "which writing.hold also has"),
        ("rate = 3\n", 1, "is not a section"),
        ("[defaults]\ncheckpoints = 3\n", 2, "a path must be in quotes"),
        ('[themes.mine]\n\nprimry = "#fff"\n', 3, "did you mean 'primary'?"),
        ('[themes.mine]\nprimary = "blue"\n', 2, "a colour such as"),
        ('[themes.mine]\nprimary = "#fff"\ndark = 1\n', 3, "true or false"),
        ('\n[themes.mine]\naccent = "#fff"\n', 2, "has no primary colour"),
        ('[themes."my own"]\nprimary = "#fff"\n', 1, "use letters, digits and dashes"),
        ('[themes]\nmine = "#fff"\n', 2, "begin it with [themes.mine]"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = tmp_path / "config.toml"
    with pytest.raises(ConfigError) as caught:
        read(path, text)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert words in str(caught.value)


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not TOML.*line 1"):
        read(tmp_path / "config.toml", "rate = = 3")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_config(tmp_path / "bytes.toml", ACTIONS, app.params)


def test_every_settable_option_exists() -> None:
    flags = {flag for option in app.params for flag in option.opts}
    assert {f"--{name}" for name in SETTABLE} <= flags


def test_the_command_prints_a_default_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHARLM_CONFIG", str(tmp_path / "own.toml"))
    assert config_path() == tmp_path / "own.toml"
    assert run(["config"]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"{tmp_path / 'own.toml'} (does not exist yet)\n"
    assert all(f'"{action}"' in printed.out for action in ACTIONS)
    assert all(f"# {name} =" in printed.out for name in SETTABLE)
    lines = [line.removeprefix("# ") for line in printed.out.splitlines()]
    bare = "\n".join(line for line in lines if "=" in line or line.startswith("["))
    tomllib.loads(bare)
    assert read(tmp_path / "own.toml", printed.out) == UserConfig()
    whole = read(tmp_path / "own.toml", bare)
    assert isinstance(whole, UserConfig)
    assert set(whole.themes["mine"]) == {*COLOURS, "dark"}
    for name, value in whole.defaults.items():
        option = next(item for item in app.params if f"--{name}" in item.opts)
        beside = {"preset": AUTO, "checkpoints": str(USUAL_ROOT), "theme": DEFAULT_THEME}
        beside["language"] = "en"
        assert value == beside.get(name, value if value is False else option.default)
    assert set(whole.defaults) == set(SETTABLE)
    assert all(preset in printed.out for preset in PRESETS)


def test_the_command_line_and_the_screen_have_the_same_defaults() -> None:
    settings = ScreenSettings()
    defaults = {option.name: option.default for option in app.params}
    assert defaults["fps"] == settings.fps
    assert defaults["rate"] == settings.rate
    for name in ("temperature", "top_k", "top_p", "min_p", "typical"):
        assert defaults[name] == getattr(settings.sampling, name)


def test_the_file_sets_defaults_of_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    monkeypatch.setenv("CHARLM_CONFIG", str(own))
    own.write_text(f'[defaults]\ncheckpoints = "{tmp_path / "mine"}"\n', encoding="utf-8")
    assert run(["runs"]) == 0
    assert str(tmp_path / "mine") in capsys.readouterr().err
    own.write_text("[defaults]\nchekpoints = 1\n", encoding="utf-8")
    assert run(["runs"]) == 2
    assert "line 2: chekpoints cannot be set; did you mean 'checkpoints'?" in (
        capsys.readouterr().err
    )
    assert run(["config"]) == 0, "the way to a right one stays open"


@on_a_loop
async def test_keys_are_remapped_everywhere() -> None:
    async with opened(*training(), keymap={"writing.hold": "f5", "program.quit": "Q"}) as it:
        await it.press("space", "q")
        assert it.session.commands == []
        await it.press("f5")
        assert it.session.commands == [HoldWriting()]
        assert "f5 Go on" in it.app.main_screen.key_bar.plain
        assert "Q Quit" in it.app.main_screen.key_bar.plain


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    """C19: an editor of Windows puts one in front."""
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[defaults]\nrate = 30\n")
    assert read_config(path, ACTIONS, app.params).defaults == {"rate": 30}


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "nested": (lambda path: path.write_text("a = " + "[\n" * 9000, "utf-8"), "nested too deeply"),
    "tables": (lambda path: path.write_text("defaults." + "a." * 900 + "a = 1"), ""),
    "value": (
        lambda path: path.write_text("[defaults]\nrate = " + "{a = " * 300 + "1" + "}" * 300),
        "",
    ),
    "names": (lambda path: path.write_text("a." * 30_000 + "a = 1", "utf-8"), "than 2,000 char"),
    "pipe": (_fifo, "is a named pipe"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "is a device"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "huge": (lambda path: path.write_bytes(b"#\n" * (1 << 16)), "131,072 bytes, more than"),
    "sparse": (_sparse, "bytes, more than"),
    "loop": (lambda path: path.symlink_to(path), "symbolic links"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\0"), "not UTF-8"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_such_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    """B11: a pipe was waited for, and brackets within brackets were a defect."""
    make, words = HOSTILE[kind]
    make(tmp_path / "config.toml")
    outcome = charlm_here(
        tmp_path, "runs", environment={"CHARLM_CONFIG": str(tmp_path / "config.toml")}
    )
    assert_one_line(outcome, 2, "config.toml", words)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "a", "b"],
        ["bench", "x"],
        ["export", "--wat"],
        ["--fps", "abc"],
        ["generate", "--checkpoint"],
        ["train", "--device", "x"],
    ],
)
def test_a_usage_error_is_sentences(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert ". See `charlm-tui --help`." in printed
