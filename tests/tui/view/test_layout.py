"""Which panes are on the screen, at every width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.view.layout import (
    DEFAULT_PANES,
    PANE_IDS,
    PANES,
    ROOMY_PANES,
    PaneArrangement,
    on_screen,
    toggled,
)

NEEDED = {pane.id: pane.columns for pane in PANES}
WANTED = st.permutations(PANE_IDS).flatmap(
    lambda order: st.integers(0, len(order)).map(lambda count: tuple(order[:count]))
)


@given(wanted=WANTED, columns=st.integers(40, 400))
def test_what_is_shown_fits_and_the_last_wish_is_among_it(
    wanted: tuple[str, ...], columns: int
) -> None:
    shown = on_screen(wanted, columns)
    assert set(shown) <= set(wanted)
    assert shown == tuple(name for name in PANE_IDS if name in shown)
    if wanted:
        assert wanted[-1] in shown
    assert len(shown) <= 1 or sum(NEEDED[name] for name in shown) <= columns


@given(wanted=WANTED, columns=st.integers(40, 400), name=st.sampled_from(PANE_IDS))
def test_a_panes_key_brings_it_and_takes_it_away(
    wanted: tuple[str, ...], columns: int, name: str
) -> None:
    before = on_screen(wanted, columns)
    after = on_screen(toggled(wanted, name, columns), columns)
    assert (name in after) == (name not in before)
    if name not in before:
        again = toggled(toggled(wanted, name, columns), name, columns)
        assert name not in again


def test_the_default_fits_a_plain_window() -> None:
    assert on_screen(DEFAULT_PANES, 80) == ("chart", "run")
    assert on_screen(DEFAULT_PANES, 60) == ("chart",)
    assert on_screen((*DEFAULT_PANES, "sampling"), 120) == ("chart", "run", "sampling")
    assert on_screen(PANE_IDS, 300) == PANE_IDS


def states(panes: PaneArrangement) -> str:
    return " ".join(panes.state_of(name)[0] for name in PANE_IDS)


def test_a_large_terminal_opens_with_samples_and_distribution() -> None:
    panes = PaneArrangement()
    panes.fit((200, 60))
    assert set(panes.shown) == set(ROOMY_PANES)
    panes.fit((120, 40))
    assert panes.shown == ("chart", "run"), "nothing was chosen, so the new size decides"
    panes.fit((200, 60))
    panes.toggle("race")
    panes.fit((120, 40))
    assert "race" in panes.wanted, "what was chosen stays"
    panes.reset()
    assert panes.wanted == DEFAULT_PANES
    frugal = PaneArrangement(most=False)
    frugal.fit((200, 60))
    assert frugal.shown == ("chart", "run")


def test_a_digit_closes_an_open_pane_and_opens_any_other() -> None:
    panes = PaneArrangement()
    panes.fit((80, 24))
    assert states(panes) == "o o c c c c"
    panes.toggle("race")
    assert states(panes) == "h h c o c c", "the race needs 60 columns"
    panes.toggle("chart")
    assert states(panes) == "o o c h c c", "beside the chart there is room for the run again"
    panes.toggle("chart")
    assert states(panes) == "c h c o c c"


@given(st.lists(st.sampled_from(PANE_IDS), max_size=8), st.integers(20, 220), st.integers(10, 60))
def test_at_any_size_a_digit_does_what_the_header_shows(
    keys: list[str], columns: int, rows: int
) -> None:
    panes = PaneArrangement()
    panes.fit((columns, rows))
    for key in keys:
        was_open = panes.state_of(key) == "open"
        panes.toggle(key)
        assert (panes.state_of(key) == "open") is not was_open
