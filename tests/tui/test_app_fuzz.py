"""Keys, mouse, pastes and sizes in any order: the app lives, and so do the threads below it.

A short form in ``make test``; 20,000 steps under ``make test-slow``.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from app_opened import Opened, opened
from app_script import characters, finished, step_of, training, validated
from hostile_text import PAYLOADS
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from textual.events import MouseMove, MouseScrollDown, MouseScrollUp, Paste, Resize
from textual.geometry import Size

from model import events as ev
from model.commands import SaveCheckpoint
from tui.keys import keys_of
from tui.terminal.driver import within_reason

Result = TypeVar("Result")

ENDING = {"ctrl+z", "y", "d", "ctrl+q"}
"""Keys that leave the process or the app (y and d answer a question): tried elsewhere."""
KEYS = sorted(
    {key for own in keys_of({}) for key in own.keys if key not in ENDING and key != "q"}
    | {"escape", "enter", "up", "down", "left", "right", "tab", "home", "end", "backspace"}
    | {"delete", "pageup", "pagedown", "ctrl+p", "n", "space", "0", "5", "full_stop", "f1"}
)

while_it_runs = precondition(lambda self: self.it.app.is_running)


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
        self.close_app()
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()

    # --- what happens -----------------------------------------------------------------------------

    @precondition(lambda self: not self.it.app.is_running)
    @rule()
    def open_another(self) -> None:
        """After a way out was found, by Ctrl-C or by the command palette."""
        self.close_app()
        self.open_app()

    @while_it_runs
    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4))
    def press(self, keys: list[str]) -> None:
        async def pressed() -> None:
            await self.it.pilot.press(*keys)

        self.run(pressed())

    @while_it_runs
    @rule(x=st.integers(-5, 400), y=st.integers(-5, 200), kind=st.sampled_from("clickmoveup"))
    def use_mouse(self, x: int, y: int, kind: str) -> None:
        columns, rows = self.it.app.size

        async def used() -> None:
            if kind == "c" and columns > 0 and rows > 0:
                await self.it.pilot.click(offset=(abs(x) % columns, abs(y) % rows))
                return
            make = {"m": MouseMove, "u": MouseScrollUp}.get(kind, MouseScrollDown)
            self.it.app.post_message(
                make(None, x, y, 0, 0, 0, False, False, False, screen_x=x, screen_y=y)
            )
            await self.it.pilot.pause()

        self.run(used())

    @while_it_runs
    @rule(text=st.one_of(st.sampled_from(PAYLOADS), st.text(max_size=40)), times=st.integers(1, 50))
    def paste(self, text: str, times: int) -> None:
        async def pasted() -> None:
            self.it.app.post_message(Paste(text * times))
            await self.it.pilot.pause()

        self.run(pasted())

    @while_it_runs
    @rule(columns=st.integers(0, 999), rows=st.integers(0, 500))
    def resize(self, columns: int, rows: int) -> None:
        """As the driver hands sizes on."""
        size = Size(*within_reason(columns, rows))

        async def resized() -> None:
            self.it.app.post_message(Resize(size, size))
            await self.it.pilot.pause()

        self.run(resized())

    @while_it_runs
    @rule(size=st.sampled_from([(80, 24), (40, 10), (120, 40), (20, 5), (60, 17)]))
    def resize_as_people_do(self, size: tuple[int, int]) -> None:
        self.resize(*size)

    @while_it_runs
    @rule(text=st.one_of(st.sampled_from(PAYLOADS), st.text(max_size=60)))
    def write(self, text: str) -> None:
        self.run(self.it.say(*characters(text)))

    @while_it_runs
    @rule(
        nats=st.floats(allow_nan=True, allow_infinity=True),
        step=st.integers(1, 10**9),
        text=st.sampled_from(PAYLOADS),
    )
    def train(self, nats: float, step: int, text: str) -> None:
        self.run(
            self.it.say(
                step_of(step, nats, time=float(step)),
                validated(step, nats),
                ev.WarningRaised(time=1.0, text=text),
                ev.WritingHeld(held=step % 2 == 0),
            )
        )

    @while_it_runs
    @rule()
    def save(self) -> None:
        async def saved() -> None:
            while len(self.it.app.screen_stack) > 1:
                self.it.app.screen.dismiss(None)
                await self.it.pilot.pause()
            await self.it.pilot.press("s")

        before = self.it.session.commands.count(SaveCheckpoint())
        self.run(saved())
        if self.it.app.trains_now:
            assert self.it.session.commands.count(SaveCheckpoint()) == before + 1

    @precondition(lambda self: self.it.app.is_running and self.it.app.state.finished is None)
    @rule()
    def finish(self) -> None:
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
    apps, looks = AppMachine.apps, AppMachine.looks
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
    return f"{made:,} steps in {AppMachine.apps - apps} apps, up to {of_an_app} in each: no crash"


@pytest.mark.timeout(600)
def test_the_app_survives_a_hundred_steps(
    figure: Callable[[str], None],
) -> None:
    figure("fuzz: " + fuzz(100, of_an_app=40))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_app_survives_twenty_thousand_steps(
    figure: Callable[[str], None],
) -> None:
    figure("fuzz: " + fuzz(20_000, of_an_app=100))
