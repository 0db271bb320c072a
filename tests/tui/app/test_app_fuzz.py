"""Keys, mouse, pastes and sizes in bursts: the app lives, answers, and so do the threads below it.

A short form in ``make test``; 20,000 steps under ``make test-slow``.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import pytest
from app_opened import Opened, key_named, opened
from app_script import characters, finished, step_of, training, validated
from hostile_text import PAYLOADS
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from textual.events import (
    Event,
    MouseDown,
    MouseEvent,
    MouseMove,
    MouseScrollDown,
    MouseScrollUp,
    MouseUp,
    Paste,
    Resize,
)
from textual.geometry import Size

from model import events as ev
from model.commands import RestartWriting, SaveCheckpoint, SetSampling
from tui.config.acting_keys import keys_of
from tui.screens.entry import SafeInput, TemperatureEntry, parse_number
from tui.terminal.sizes import within_reason

Result = TypeVar("Result")

ENDING = {"ctrl+z", "ctrl+q"}
"""Keys that leave the process, or the app as q does: tried elsewhere."""
KEYS = sorted(
    {key for own in keys_of({}) for key in own.keys if key not in ENDING}
    | {"escape", "enter", "up", "down", "left", "right", "tab", "home", "end", "backspace"}
    | {"delete", "pageup", "pagedown", "ctrl+p", "n", "space", "0", "5", "full_stop", "f1"}
)

Input = Callable[[Size], list[Event]]
"""Makes the events of one key, click or paste for a terminal of some size."""


def keys_named(*names: str) -> list[Event]:
    return [key_named(name) for name in names]


def mouse(kind: type[MouseEvent], x: int, y: int) -> Event:
    return kind(None, x, y, 0, 0, 1, False, False, False, screen_x=x, screen_y=y)


def click(x: int, y: int, times: int, size: Size) -> list[Event]:
    place = (x % max(1, size.width), y % max(1, size.height))
    return [mouse(kind, *place) for kind in (MouseDown, MouseUp) * times]


def move(kind: type[MouseEvent], x: int, y: int, _: Size) -> list[Event]:
    return [mouse(kind, x, y)]


def paste(text: str, _: Size) -> list[Event]:
    return [Paste(text)]


def resize(columns: int, rows: int, _: Size) -> list[Event]:
    size = Size(*within_reason(columns, rows))
    return [Resize(size, size)]


LINES = st.one_of(st.sampled_from(PAYLOADS), st.text(max_size=40))
USUAL_SIZES = [(80, 24), (40, 10), (120, 40), (20, 5), (60, 17)]
INPUTS: st.SearchStrategy[Input] = st.one_of(
    *[st.sampled_from(KEYS).map(lambda key: lambda _: keys_named(key))] * 6,
    st.builds(partial, st.just(click), st.integers(0, 400), st.integers(0, 200), st.integers(1, 3)),
    st.builds(
        partial,
        st.just(move),
        st.sampled_from([MouseMove, MouseScrollUp, MouseScrollDown]),
        st.integers(-5, 400),
        st.integers(-5, 200),
    ),
    st.builds(lambda text, times: partial(paste, text * times), LINES, st.integers(1, 50)),
    st.sampled_from(USUAL_SIZES).map(lambda size: partial(resize, *size)),
)
BURSTS = st.lists(INPUTS, min_size=1, max_size=8)


class AppMachine(RuleBasedStateMachine):
    """One app on a scripted session, steered by whoever."""

    apps = looks = 0
    """Of all machines there have been; the invariants are looked at before the first step, too."""

    def __init__(self) -> None:
        super().__init__()
        AppMachine.apps += 1
        self.loop = asyncio.new_event_loop()
        # Textual finds its app in the context, which would be another one for each task.
        self.surroundings = contextvars.copy_context()
        self.threads = threading.active_count()
        self.open_app()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(self.loop.create_task(work, context=self.surroundings))

    def open_app(self) -> None:
        self.context = opened(*training(), size=(80, 24))
        self.it: Opened = self.run(self.context.__aenter__())

    def close_app(self) -> None:
        if self.it.app.is_running:
            self.it.app.exit()
        self.run(self.context.__aexit__(None, None, None))

    def teardown(self) -> None:
        self.save()
        self.close_app()
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()

    # --- what happens -----------------------------------------------------------------------------

    def reopen(self) -> None:
        """Opens another app where a way out was found.

        No precondition: whether the app has ended must not change what is drawn next.
        """
        if self.it.app.is_leaving or not self.it.app.is_running:
            self.close_app()
            self.open_app()

    @rule(burst=BURSTS)
    def send(self, burst: list[Input]) -> None:
        """Everything of a burst is there before the app has looked at its first key."""
        self.reopen()
        size = self.it.app.size
        self.run(self.it.post(*(event for one in burst for event in one(size))))

    @rule(
        key=st.sampled_from(["t", "i", "slash"]),
        typed=st.text("0123456789.", min_size=1, max_size=8),
        enters=st.integers(1, 3),
    )
    def answer(self, key: str, typed: str, enters: int) -> None:
        """A field shows what was typed after the key that opened it, and answers once."""
        self.reopen()
        self.run(self.close_dialogs())
        app, commands = self.it.app, self.it.session.commands
        self.run(self.it.post(*keys_named(key, "ctrl+u", "ctrl+k", *typed)))
        field = app.screen.query_one(SafeInput)
        assert field.value == typed
        before, screens = list(commands), len(app.screen_stack)
        assert screens == 2
        self.run(self.it.post(*keys_named(*["enter"] * enters)))
        made = commands[len(before) :]
        if key == "t" and parse_number(typed, TemperatureEntry.RANGE)[0] is None:
            assert (made, len(app.screen_stack)) == ([], 2)
        else:
            assert len(app.screen_stack) == 1
            asked = {"t": SetSampling, "i": RestartWriting}.get(key)
            assert [type(command) for command in made] == ([asked] if asked else [])

    @rule(columns=st.integers(0, 999), rows=st.integers(0, 500))
    def resize_to_anything(self, columns: int, rows: int) -> None:
        self.reopen()
        self.run(self.it.post(*resize(columns, rows, self.it.app.size)))

    @rule(text=st.one_of(st.sampled_from(PAYLOADS), st.text(max_size=60)))
    def write(self, text: str) -> None:
        self.reopen()
        self.run(self.it.say(*characters(text)))

    @rule(
        nats=st.floats(allow_nan=True, allow_infinity=True),
        step=st.integers(1, 10**9),
        text=st.sampled_from(PAYLOADS),
    )
    def train(self, nats: float, step: int, text: str) -> None:
        self.reopen()
        self.run(
            self.it.say(
                step_of(step, nats, time=float(step)),
                validated(step, nats),
                ev.WarningRaised(time=1.0, text=text),
                ev.WritingHeld(held=step % 2 == 0),
            )
        )

    @rule()
    def save(self) -> None:
        """The app still answers."""
        self.reopen()
        self.run(self.close_dialogs())
        before = self.it.session.commands.count(SaveCheckpoint())
        self.run(self.it.post(*keys_named("s")))
        if self.it.app.trains_now:
            assert self.it.session.commands.count(SaveCheckpoint()) == before + 1

    async def close_dialogs(self) -> None:
        while len(self.it.app.screen_stack) > 1:
            self.it.app.screen.dismiss(None)
            await self.it.settle()

    @rule()
    def finish(self) -> None:
        self.reopen()
        if self.it.app.state.finished is None:
            self.run(self.it.say(*finished()))

    # --- what stays -------------------------------------------------------------------------------

    @invariant()
    def the_app_lives(self) -> None:
        AppMachine.looks += 1
        app = self.it.app
        assert app.defect is None
        assert app.return_code in {None, 0}
        assert len(app.screen_stack) < 20

    @invariant()
    def no_threads_pile_up(self) -> None:
        assert threading.active_count() < self.threads + 40


def fuzz(steps: int, *, of_an_app: int) -> str:
    """Goes on with one app after the other until so many steps were made; returns the count.

    Hypothesis counts apps, and not those that ran out of random choices before their last step.
    """
    apps, looks, began = AppMachine.apps, AppMachine.looks, time.monotonic()
    apps_at_once = max(3, steps // of_an_app // 10)
    made = 0
    while made < steps:
        run_state_machine_as_test(
            AppMachine,
            settings=settings(
                max_examples=apps_at_once,
                stateful_step_count=of_an_app,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
        made = (AppMachine.looks - looks) - (AppMachine.apps - apps)
    return (
        f"{made:,} steps in {AppMachine.apps - apps} apps, up to {of_an_app} in each, bursts of up "
        f"to 8 inputs, {time.monotonic() - began:.0f} s: no crash, no answer lost or doubled"
    )


def test_the_app_survives_dozens_of_steps(
    figure: Callable[[str], None],
) -> None:
    figure("fuzz: " + fuzz(40, of_an_app=20))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_app_survives_twenty_thousand_steps(
    figure: Callable[[str], None],
) -> None:
    figure("fuzz: " + fuzz(20_000, of_an_app=100))
