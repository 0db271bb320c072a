"""Which panes are on the screen, at every width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.view.layout import DEFAULT_PANES, PANE_IDS, PANES, on_screen, toggled

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
