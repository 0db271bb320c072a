"""Pictures of the whole screen at two sizes, from a state without a clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from app_opened import without_toasts
from app_script import characters, ladder_started, race_started, training
from patience import until
from textual.pilot import Pilot
from textual.widgets import Input

from corpus import Vocabulary
from corpus.novelty import NoveltyIndex
from model import events as ev
from model.config import SamplingConfig
from model.constraint_config import Constraints
from model.session.scripted import ScriptedSession
from tui.app.app import CharlmApp
from tui.app.process_meter import MachineMeter
from tui.config.screen_settings import ScreenSettings
from tui.view.state import MachineUse

TEXT = (
    "annoyed by the grandiose manner, the mise en scene of the spirit, and the sense of the whole "
    "of the soul and the highest\n\nSupposing that truth is a woman--what then? "
)


SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


class FixedMeter(MachineMeter):
    """A machine that is always as busy."""

    def read(self) -> MachineUse:
        return MachineUse(cores=1.9, bytes=412_000_000)


NEXT_DISTRIBUTION = ev.NextDistribution(
    candidates=tuple(
        ev.AdjustedCandidate(character=character, probability=probability, adjusted=adjusted)
        for character, probability, adjusted in (
            ("e", 0.42, 0.61), (" ", 0.27, 0.29), ("a", 0.12, 0.1), ("\n", 0.05, 0.0),
            ("t", 0.02, 0.0),
        )
    ),
    entropy=1.4,
    adjusted_entropy=0.9,
    kept=3,
)  # fmt: skip
VIEWS: dict[str, tuple[str, ...]] = {
    "sampling": ("3",),
    "race": ("4",),
    "ladder": ("L",),
    "growing-up": ("5", "left"),
    "events": ("6",),
    "surprise": ("c",),
    "novelty": ("c", "c"),
    "maximised": ("3", "m"),
    "text-alone": ("1", "2"),
    "views": ("v",),
    "alternatives": ("a", "left", "left", "down"),
    "help": ("question_mark",),
    "prompt": ("i", "é", "Q"),
    "constraints": ("C", "down", "down", "down", "9", "-", "1", "enter"),
    "okabe-ito": ("c",),
    "opened": (),
    "two-authors": (),
}
OPENED = (
    ev.WeightsOpened(
        step=40, nats_per_character=1.31, best=True, last_step=100, run_ended="completed"
    ),
    ev.TrainingStateChanged(state="finished"),
)


CONSTRAINTS = Constraints(forbid="e", line_length=(32, 40))
CONSTRAINED = (
    ev.ConstraintsApplied(constraints=CONSTRAINTS),
    ev.CharacterWritten(character="a", probability=0.5, entropy=1.0, candidates=(), mask_bits=0.12),
    ev.LineDrafted(kept=3, drafts=64, cost=0.31),
)
TWO_AUTHORS = (
    *OPENED,
    ev.AuthorsOpened(names=("nietzsche", "shakespeare"), symbols=90, lacking=((), ("é",))),
    ev.MixApplied(mix=0.3),
)


def samples() -> tuple[ev.Event, ...]:
    return tuple(
        ev.SampleRecorded(
            time=epoch * 10.0,
            step=epoch * 20,
            epoch=epoch,
            temperature=temperature,
            seed=0,
            prompt="the sense of the ",
            text=f"whole of the soul, as it was in epoch {epoch} at {temperature}",
        )
        for epoch in (1, 2)
        for temperature in (0.2, 0.5)
    )


def written(text: str) -> tuple[ev.Event, ...]:
    """Characters of every surprise and of every author, in turn."""
    chances = (0.9, 0.3, 0.1, 0.02, 0.001)
    ratios = (5.0, 2.0, 0.0, -2.0, -5.0)
    return tuple(
        ev.CharacterWritten(
            character=character,
            probability=chances[place % 5],
            entropy=1.0,
            candidates=(
                ev.Candidate(character=character, probability=chances[place % 5]),
                ev.Candidate(character="q", probability=0.05),
            ),
            log_ratio=ratios[place % 5],
        )
        for place, character in enumerate(text)
    )


@SIZES
@pytest.mark.parametrize("view", VIEWS)
def test_each_view_looks_as_it_did(
    snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    view: str,
    size: tuple[int, int],
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    session = ScriptedSession()
    theme = view if view == "okabe-ito" else None
    opened: tuple[ev.Event, ...] = {
        "opened": OPENED,
        "two-authors": TWO_AUTHORS,
        "constraints": CONSTRAINED,
    }.get(view, ())
    settings = ScreenSettings(
        title="text",
        sampling=SamplingConfig(temperature=0.8),
        theme=theme,
        trains=view != "two-authors",
        two_authors=view == "two-authors",
    )
    app = CharlmApp(session, settings, clock=lambda: 100.0, meter=FixedMeter())
    vocabulary = Vocabulary.from_symbols(TEXT + "xyz")
    index = NoveltyIndex(vocabulary.encode(TEXT), vocabulary)

    async def fill(pilot: Pilot[None]) -> None:
        await until(lambda: session.started)
        app.take((*training(), *samples(), NEXT_DISTRIBUTION, ev.NoveltyIndexed(index=index)))
        app.take((ev.VocabularyKnown(vocabulary=vocabulary), *opened))
        app.take((ev.WritingRestarted(seed=7, prompt="he was ", note=None),))
        app.take(written(TEXT[:120] + "xanny zyx " + "soul " * 8))
        app.take((ev.WritingHeld(held=True),))
        # The curve has a picture of its own, and is drawn by a thread when it likes.
        await pilot.press("1")
        for key in VIEWS[view] if view != "text-alone" else ("2",):
            await pilot.press(key)
        for line in app.screen.query(Input):
            line.cursor_blink = False
        await without_toasts(pilot)
        lanes: tuple[str, ...] = ("the sense of", "the sense or", "the soul of a", "the soul is x")
        if view == "ladder":
            app.take((ladder_started("he was "),))
            lanes = ("t hseeo nu ", "the sers of", *lanes)
        else:
            app.take((race_started(0.2, 0.5, 1.0, 1.2, prompt="he was "),))
        for characters_of_lanes in zip(*lanes, strict=False):
            app.take((ev.LanesWritten(characters=characters_of_lanes),))
        for _ in range(3):
            app.draw_all()
            await pilot.pause()
        await without_toasts(pilot)
        if view == "alternatives":  # the pane below the dialog is painted when it likes
            marked = "so</text>"  # the "u" of "soul" has another background
            await until(lambda: marked in app.export_screenshot())

    assert snap_compare(app, terminal_size=size, run_before=fill)


@SIZES
def test_the_screen_looks_as_it_did(
    snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    session = ScriptedSession()
    app = CharlmApp(
        session,
        ScreenSettings(title="text", sampling=SamplingConfig(temperature=0.8)),
        clock=lambda: 100.0,
        meter=FixedMeter(),
    )

    async def fill(pilot: Pilot[None]) -> None:
        await until(lambda: session.started)
        app.take(training())
        app.take((ev.WritingRestarted(seed=7, prompt="he was ", note=None), *characters(TEXT)))
        app.take(
            (
                ev.SamplingApplied(sampling=SamplingConfig(temperature=1.2)),
                *characters("Is there not ground"),
            )
        )
        app.draw_chart()
        await until(lambda: bool(app.main_screen.chart.query("PlotWidget")))
        for _ in range(5):
            await pilot.pause()
            app.draw_chart()
        app.draw_title()
        app.draw_status()
        app.draw_figures()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=fill)
