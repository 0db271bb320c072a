"""Events as a session would say them, for tests of the screen."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from model import events as ev
from model.config import NGRAM_ORDERS, Lane
from tui.race.lanes import LINE_UPS

Arguments = ParamSpec("Arguments")


def on_a_loop(test: Callable[Arguments, Awaitable[None]]) -> Callable[Arguments, None]:
    """Lets pytest call a test that awaits."""

    @functools.wraps(test)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        async def body() -> None:
            await test(*args, **kwargs)

        asyncio.run(body())

    return run


def prepared() -> tuple[ev.Event, ...]:
    """The session is on its way."""
    return (ev.Preparing(stage="importing torch"),)


def training(steps: int = 40) -> tuple[ev.Event, ...]:
    """A run of some steps, without noise."""
    run = ev.RunStarted(
        time=0.0,
        run="a-run",
        corpus="nietzsche",
        characters=600_893,
        vocabulary=84,
        parameters=389_204,
        preset="default",
        device="cpu",
        precision="fp32",
        threads=2,
        seed=0,
    )
    plan = ev.Planned(
        steps_per_epoch=20,
        planned_steps=100,
        planned_seconds=None,
        first_step=0,
        layers=1,
        hidden=256,
    )
    made: list[ev.Event] = [*prepared(), run, plan, ev.TrainingStateChanged(state="training")]
    for step in range(1, steps + 1):
        loss = 1.3 + 2.5 * math.exp(-step / 10) + 0.05 * math.sin(step)
        made.append(
            ev.StepFinished(
                time=step * 0.5,
                step=step,
                epoch=(step - 1) // 20 + 1,
                loss=loss,
                learning_rate=0.0018,
                gradient_norm=0.42,
                characters_per_second=183_000.0 + 20_000 * math.sin(step),
            )
        )
        if step % 10 == 0:
            made.append(validated(step, loss + 0.05, best=step != 40))
    made.append(ev.CheckpointSaved(time=20.0, step=40, path="x", best=True))
    made.append(ev.WeightsSwapped(step=40, best=False))
    return tuple(made)


def step_of(step: int, value: float, *, time: float) -> ev.StepFinished:
    """A step was made, and every figure of it is this one."""
    return ev.StepFinished(
        time=time,
        step=step,
        epoch=1,
        loss=value,
        learning_rate=value,
        gradient_norm=value,
        characters_per_second=value,
    )


def validated(step: int, nats: float, *, best: bool = True) -> ev.Validated:
    """The held-out text was scored."""
    return ev.Validated(
        time=step * 0.5,
        step=step,
        epoch=(step - 1) // 20 + 1,
        nats_per_character=nats,
        bits_per_character=nats / math.log(2),
        best=best,
    )


def characters(text: str) -> tuple[ev.Event, ...]:
    """The sampler wrote this."""
    return tuple(
        ev.CharacterWritten(character=character, probability=0.3, entropy=1.0, candidates=())
        for character in text
    )


def race_started(*temperatures: float, prompt: str) -> ev.RaceStarted:
    """A race of the live weights at these temperatures."""
    lanes = (Lane(model="live", temperature=temperature) for temperature in temperatures)
    return ev.RaceStarted(
        lanes=tuple(ev.RaceLane(lane=lane) for lane in lanes), seed=1, prompt=prompt
    )


def ladder_started(
    prompt: str, *, counted: bool = True, kept: bool = True, rivals: tuple[str, ...] = ()
) -> ev.RaceStarted:
    """A race of the ladder's models.

    Args:
        prompt: of every lane.
        counted: whether the n-gram models are there.
        kept: whether there are best weights, and those of epoch 2.
        rivals: networks of which there is a saved run.
    """
    bits = {"order 0": 4.31, "order 2": 2.91, "order 5": 2.1, "epoch": 2.62, "gru": 2.05}
    there = {"live", *rivals} | ({"best", "epoch"} if kept else set())
    there |= set(NGRAM_ORDERS) if counted else set()
    lanes = tuple(
        ev.RaceLane(
            lane=lane,
            is_written=lane.model in there,
            bits_per_character=bits.get(lane.model) if counted else None,
            epoch=2 if lane.model == "epoch" and kept else None,
        )
        for lane in LINE_UPS["ladder"]
    )
    return ev.RaceStarted(lanes=lanes, seed=1, prompt=prompt)


def finished() -> tuple[ev.Event, ...]:
    """Training ended as planned."""
    return (
        ev.TrainingStateChanged(state="finished"),
        ev.Finished(
            time=50.0,
            reason="completed",
            step=100,
            best_nats_per_character=1.31,
            best_bits_per_character=1.89,
            seconds=50.0,
            characters_per_second=181_000.0,
        ),
    )
