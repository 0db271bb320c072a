"""Timers of Textual that fire once do so, however late; toasts appear, and go."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, training
from textual import _time
from textual.notifications import Notification, Notifications
from textual.timer import Timer
from textual.widgets._toast import Toast, ToastRack

from tui.terminal.textual_workarounds import let_every_delay_end

LOOKS = 10_000
"""How often a timer may look at its clock; one that never ends looks more often."""


@pytest.fixture
def late_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is a second later at each look: the thread is kept from its core."""
    looks = itertools.count()

    def get_time() -> float:
        look = next(looks)
        assert look < LOOKS, "the timer goes round in a circle"
        return float(look)

    monkeypatch.setattr(_time, "get_time", get_time)


class Target:
    """What a timer belongs to."""


@pytest.mark.usefixtures("late_clock")
@pytest.mark.parametrize("delay", [-1.0, -1e-6, 0.0, 1e-6, 0.5, 3.0])
def test_a_delay_ends_however_late_it_is_looked_at(
    delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[int] = []

    async def tick(_: Timer, *, next_timer: float, count: int) -> None:
        ticks.append(count)

    monkeypatch.setattr(Timer, "_tick", tick)
    let_every_delay_end()
    target = Target()
    asyncio.run(Timer(target, delay, repeat=0)._run())  # type: ignore[arg-type]
    assert ticks == [1]


@on_a_loop
async def test_a_toast_that_is_shown_too_late_goes_at_once() -> None:
    """It froze the program: one of 8,000 keys in bursts, beside busy loops."""
    async with opened(*training(), *characters("text")) as it:
        await it.app.screen.mount(Toast(Notification("late", timeout=-1)))
        await it.until(lambda: not it.app.screen.query(Toast))


def toasts_on_screen(it: Opened) -> list[str]:
    """Returns the words of the toasts that are laid out on the top screen."""
    visible = it.app.screen._compositor.visible_widgets
    return [str(toast.render()) for toast in it.app.screen.query(Toast) if toast in visible]


@on_a_loop
async def test_a_toast_survives_a_second_call_before_it_is_mounted() -> None:
    async with opened(*training(), *characters("text")) as it:
        notifications, rack = Notifications(), it.app.screen.get_child_by_type(ToastRack)
        notifications.add(Notification("one"))
        rack.show(notifications)
        notifications.add(Notification("two"))
        rack.show(notifications)
        await it.pilot.pause()
        assert toasts_on_screen(it) == ["one", "two"]


@on_a_loop
async def test_a_toast_of_a_dialog_that_closes_is_on_the_screen() -> None:
    async with opened(*training(), *characters("text")) as it:
        await it.press("slash", *"nowhere", "enter")
        await it.settle()
        await it.until(lambda: toasts_on_screen(it) == ["“nowhere” is not in the text."])
