"""The user's TOML file of defaults, keys and themes, which is read before the command line.

A mistake is refused with the file, the line and the nearest valid name, because a setting that is
silently ignored is worse than none.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from corpus import CorpusError
from corpus.files.access import read_chunks, require_regular
from corpus.files.places import config_folder, expand_home
from corpus.nearest import nearest
from model.errors import ConfigError

SECTIONS: Final = ("defaults", "keys", "themes")
COLOURS: Final = (
    "primary",
    "secondary",
    "warning",
    "error",
    "success",
    "accent",
    "foreground",
    "background",
    "surface",
    "panel",
)
"""Names of the colours in a theme; the first one is required."""
Colours = Mapping[str, str | bool]
"""Colours of a theme as ``#rrggbb`` by name, and optionally the boolean ``dark``."""
MAX_BYTES: Final = 64 << 10
"""Maximum size of the file; a few thousand bytes are usual."""
MAX_LINE_CHARACTERS: Final = 2000
"""Maximum length of a line: parsing a dotted name takes quadratic time in its parts."""
SETTABLE: Final = (
    "preset",
    "checkpoints",
    "temperature",
    "top-k",
    "top-p",
    "min-p",
    "typical",
    "forbid",
    "allow",
    "acrostic",
    "line-length",
    "line-matches",
    "rhyme",
    "syllables",
    "verse-language",
    "line-choice",
    "rate",
    "fps",
    "theme",
    "low-bandwidth",
    "ascii",
    "no-mouse",
    "no-hints",
    "language",
)
"""Options whose default can be set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """Settings from the user's file."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Default values by the option's name, without its leading dashes."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys, separated by commas, by the action's id."""
    themes: Mapping[str, Colours] = field(default_factory=dict)
    """Colours by the theme's name."""
    places: Mapping[str, str] = field(default_factory=dict)
    """File and line of each default, by the option's name."""


def config_path() -> Path | None:
    """Returns the path of the file: `$CHARLM_CONFIG`, or in the user's configuration folder.

    Returns None if the home folder is unknown.

    Raises:
        CorpusError: `$CHARLM_CONFIG` begins with `~`, and the home folder is not known.
    """
    chosen = os.environ.get("CHARLM_CONFIG", "")
    if chosen:
        return Path(expand_home(chosen)).absolute()
    folder = config_folder()
    return None if folder is None else folder / "config.toml"


def read_config(
    path: Path, actions: Sequence[str], options: Sequence[click.Parameter]
) -> UserConfig:
    """Returns the settings in the file.

    Args:
        path: the path of the file.
        actions: ids of the actions whose keys can be changed.
        options: the app's options, which check the types.

    Raises:
        ConfigError: the file is unreadable or invalid.
    """
    text = _text_of(path)
    if text is None:
        return UserConfig()
    if any(len(line) > MAX_LINE_CHARACTERS for line in text.splitlines()):
        raise ConfigError(
            str(path), f"has a line of more than {MAX_LINE_CHARACTERS:,} characters", _HELP
        )
    try:
        return _Checker(path, text).checked(tomllib.loads(text), actions, options)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"is not TOML: {error}", _HELP) from error
    except RecursionError as error:
        raise ConfigError(str(path), "is nested too deeply", _HELP) from error


def _text_of(path: Path) -> str | None:
    """Returns the file's text without a byte order mark; None if there is no file.

    Raises:
        ConfigError: the file cannot be read, is not a regular file, is too large, or is not UTF-8.
    """
    cause = ""
    try:
        status = path.stat()
        require_regular(str(path), status)
        if status.st_size > MAX_BYTES:
            cause = f"has {status.st_size:,} bytes, more than {MAX_BYTES:,}"
        else:
            return b"".join(read_chunks(path, str(path))).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except OSError as error:
        cause = f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        cause = "cannot be read (is not UTF-8)"
    except CorpusError as error:
        cause = error.cause
    raise ConfigError(str(path), cause, "correct it, or set $CHARLM_CONFIG to another file")


_HELP: Final = "`charlm-tui config` prints an annotated default"


_THEME_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
_COLOUR: Final = re.compile(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")


class _Checker:
    """Checks a file and reports the place of a mistake."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def checked(
        self, record: dict[str, Any], actions: Sequence[str], options: Sequence[click.Parameter]
    ) -> UserConfig:
        for name, value in record.items():
            if name not in SECTIONS or not isinstance(value, dict):
                self._refuse(name, "is not a section", _nearest(name, SECTIONS))
        defaults = {
            name: self._default(name, value, options)
            for name, value in record.get("defaults", {}).items()
        }
        keys = record.get("keys", {})
        owners: dict[str, str] = {}
        for name, value in keys.items():
            # In TOML, an unquoted dotted name is a nested table.
            if name not in actions:
                remedy = 'put it in quotes: "writing.hold"' if isinstance(value, dict) else ""
                self._refuse(name, "is not an action", remedy or _nearest(name, actions))
            if not isinstance(value, str) or not all(part.strip() for part in value.split(",")):
                self._refuse(name, "needs keys in quotes", 'such as "ctrl+s" or "a,b"')
            for key in (part.strip() for part in value.split(",")):
                if key in owners:
                    words = f"has the key {key!r}, which {owners[key]} also has"
                    self._refuse(name, words, "assign each key once")
                owners[key] = name
        themes = record.get("themes", {})
        for name, colours in themes.items():
            self._check_theme(name, colours)
        return UserConfig(
            defaults=defaults,
            keys=dict(keys),
            themes=themes,
            places={name: self._place(name) for name in defaults},
        )

    def _check_theme(self, name: str, colours: Any) -> None:
        if not isinstance(colours, dict):
            self._refuse(
                name, "is not a theme", f'begin it with [themes.{name}] and primary = "#..."'
            )
        if not _THEME_NAME.fullmatch(name):
            self._refuse(name, "cannot name a theme", "use letters, digits and dashes")
        for key, value in colours.items():
            if key == "dark" and not isinstance(value, bool):
                self._refuse(key, f"cannot be {value!r}", "true or false")
            if key not in {*COLOURS, "dark"}:
                self._refuse(key, "is not a colour of a theme", _nearest(key, (*COLOURS, "dark")))
            if key != "dark" and not (isinstance(value, str) and _COLOUR.fullmatch(value)):
                self._refuse(key, f"cannot be {value!r}", 'a colour such as "#56b4e9"')
        if COLOURS[0] not in colours:
            self._refuse(name, "has no primary colour", 'add one, such as primary = "#56b4e9"')

    def _default(self, name: str, value: Any, options: Sequence[click.Parameter]) -> Any:
        if name not in SETTABLE:
            self._refuse(name, "cannot be set", _nearest(name, SETTABLE))
        option = next(item for item in options if f"--{name}" in item.opts)
        is_flag = isinstance(option, click.Option) and option.is_flag
        if is_flag != isinstance(value, bool) or isinstance(value, dict | list):
            self._refuse(name, f"cannot be {value!r}", "true or false" if is_flag else "a value")
        try:
            option.type.convert(value, option, None)
        except click.BadParameter as error:
            self._refuse(name, error.message.rstrip("."), _HELP)
        return value

    def _refuse(self, name: str, cause: str, remedy: str) -> None:
        """Raises an error that names the line of a setting."""
        raise ConfigError(self._place(name), f"{name} {cause}", remedy)

    def _place(self, name: str) -> str:
        """Returns the file and the line that begins with the name or its section."""
        pattern = re.compile(rf"""^\s*(\[[^\]]*?)?["']?{re.escape(name)}(?![\w-])""")
        line_numbers = [number for number, line in enumerate(self._lines, 1) if pattern.match(line)]
        return f"{self._path}, line {line_numbers[0]}" if line_numbers else str(self._path)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else "there are: " + ", ".join(known)


def default_map(config: UserConfig, options: Sequence[click.Parameter]) -> dict[str, Any]:
    """Returns the defaults by the names of the command line's parameters."""
    defaults = {}
    for name, value in config.defaults.items():
        option = next(item for item in options if f"--{name}" in item.opts)
        if option.name is not None:
            defaults[option.name] = value
    return defaults
