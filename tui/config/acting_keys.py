"""Which keys of the table do something, for whom, and under which of the user's own assignments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, Literal

from textual.binding import Binding

from tui.config.keys import KEYS, KeyAction

OFF_FOR_SPECTATORS: Final = frozenset(
    {
        *(key.id for key in KEYS if key.group == "Files"),
        *("training.pause", "training.save", "training.stop", "training.longer", "training.again"),
        *("program.runs", "program.suspend", "lesson.excerpt"),
    }
)
"""Ids of keys that write a file, control a training, or leave the watched run."""
SPECTATORS_ACTIONS: Final = frozenset(
    {
        *(key.action_name for key in KEYS if key.id not in OFF_FOR_SPECTATORS),
        *("app.command_palette", "app.change_theme", "app.quit", "app.bell"),
        *("app.focus_next", "app.focus_previous", "screen.copy_text"),
    }
)
"""Actions of the app and of the main screen that a spectator may run."""


def may_run(node: Literal["app", "screen"], action: str, *, read_only: bool) -> bool:
    """Tells whether the app or the main screen may run an action.

    Args:
        node: the app or the main screen.
        action: the name of the action, without parameters.
        read_only: whether the user is a spectator.
    """
    return not read_only or f"{node}.{action}" in SPECTATORS_ACTIONS


def bindings() -> list[Binding]:
    """Returns the table as Textual's bindings."""
    return [
        Binding(
            ",".join(key.keys),
            key.action,
            key.label,
            show=False,
            key_display=key.shown,
            priority=key.priority,
            tooltip=key.tooltip,
            id=key.id,
        )
        for key in KEYS
    ]


def keys_of(
    keymap: Mapping[str, str],
    *,
    read_only: bool = False,
    trains: bool = True,
    without: Collection[str] = (),
) -> tuple[KeyAction, ...]:
    """Returns the keys that do something, with the user's own assignments.

    Args:
        keymap: the user's own keys by the action's id.
        read_only: whether the user is a spectator.
        trains: whether this session trains; without a training its keys do nothing.
        without: ids of other keys that do nothing now.
    """
    return tuple(
        _remapped(key, keymap[key.id]) if key.id in keymap else key
        for key in KEYS
        if not (read_only and key.id in OFF_FOR_SPECTATORS)
        and (trains or key.group != "Training")
        and key.id not in without
    )


def _remapped(key: KeyAction, key_list: str) -> KeyAction:
    keys = tuple(part.strip() for part in key_list.split(","))
    return replace(key, keys=keys, shown=keys[0].replace("ctrl+", "^"))
