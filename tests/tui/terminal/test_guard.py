"""What the guard of a terminal does in the main thread."""

from __future__ import annotations

import signal
import threading

import pytest
from patience import moments

from tui.terminal.guard import _wait_for


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of threads are POSIX")
def test_a_wait_handles_a_signal_that_another_thread_received() -> None:
    handled = threading.Event()

    def receive() -> None:
        for _ in moments("the main thread to wait"):
            if handled._cond._waiters:  # type: ignore[attr-defined]
                break
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: handled.set())
    try:
        thread = threading.Thread(target=receive)
        thread.start()
        _wait_for(handled)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled.is_set()
