"""Workarounds for faults of Textual 8.2.8: memory kept too long, timers that stop everything."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from textual._styles_cache import StylesCache
from textual.notifications import Notifications
from textual.timer import Timer
from textual.widgets._toast import ToastHolder, ToastRack


def cache_colours_by_colour() -> None:
    """Lets Textual free the cached lines of removed widgets.

    Textual 8.2.8 remembers two colours under the widget's whole cache of drawn lines, and with it
    those lines, for the last 1,024 widgets: a help screen that is opened and closed once a minute
    costs some 30 MB an hour. The colours do not depend on the widget. Does nothing where Textual
    has another way by now.
    """
    colours_of = getattr(StylesCache.get_inner_outer, "__wrapped__", None)
    if colours_of is None:
        return
    remembered = lru_cache(1024)(lambda base, background: colours_of(None, base, background))

    def get_inner_outer(_: StylesCache, base_background: Any, background: Any) -> Any:
        return remembered(base_background, background)

    StylesCache.get_inner_outer = get_inner_outer  # type: ignore[method-assign, assignment]


def let_go_of_empty_toast_holders() -> None:
    """Removes what a toast was wrapped in together with the toast.

    Textual 8.2.8 leaves it in place where a notification was withdrawn, or expired while another
    screen was shown: an app that answers every key with a toast, in the place of the answer before,
    would cost some 10 kB a key, and every layout would go through all that ever were. A holder is
    known by its id: the toast in it is mounted later, and a second call may come before that.
    """
    if getattr(ToastRack.show, "is_ours", False):
        return
    show_toasts = ToastRack.show

    def show(rack: ToastRack, notifications: Notifications) -> None:
        """Shows these and no others."""
        shown = {ToastRack._toast_id(notification) for notification in notifications}  # noqa: SLF001
        stale = [holder for holder in rack.query(ToastHolder) if holder.id not in shown]
        show_toasts(rack, notifications)
        for holder in stale:
            holder.remove()

    show.is_ours = True  # type: ignore[attr-defined]
    ToastRack.show = show  # type: ignore[method-assign, assignment]


def let_every_delay_end() -> None:
    """Makes a timer that fires once fire, however late it is looked at.

    Textual 8.2.8 counts the times that a timer has missed, and skips them, also those of a timer
    that fires once. A thread that is kept from its core for as long as the delay loses the timer:
    a batch of updates never ends, a toast never goes. And for a negative delay the count stays 0,
    for ever, in a loop that nothing interrupts. A toast has one if its notification expires between
    the look at it and its timer, or if the system's clock is set forwards meanwhile.
    """
    if getattr(Timer.__init__, "is_ours", False):
        return
    initialise = Timer.__init__

    def __init__(timer: Timer, *arguments: Any, **settings: Any) -> None:  # noqa: N807
        initialise(timer, *arguments, **settings)
        if timer._repeat == 0:  # noqa: SLF001
            timer._skip = False  # noqa: SLF001

    __init__.is_ours = True  # type: ignore[attr-defined]
    Timer.__init__ = __init__  # type: ignore[method-assign, assignment]
