"""Writes to the terminal from a separate thread, so that a slow terminal does not block the app.

Textual's own writer queues thirty pieces and then blocks the event loop. On a stalled terminal,
keys, timers and the exit would wait with it. This writer never blocks. It reports when it falls
behind, so that painting stops, and reports when it has caught up.
"""

from __future__ import annotations

import codecs
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from tui.widths import cells_of

BYTES_BEHIND: Final = 8192
"""Number of waiting bytes at which painting stops, because more would only lengthen the wait."""
MAX_QUEUED_BYTES: Final = 1 << 20
"""Maximum number of bytes queued for a stalled terminal; later output is dropped."""
BYTES_PER_WRITE: Final = 4096
RESET: Final = (
    b"\x1b[<u\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"
    b"\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?7h\x1b[?25h\x1b[0m"
)
"""Leaves the key protocol (each screen has its own), the alternate screen, mouse reporting,
bracketed paste, focus and size reports; wraps lines again and shows the cursor. Its first escape
ends an unfinished sequence."""


AS_WIDE: Final = "charlm-as-wide"
"""Name of the error handler that encodes a missing character as question marks of its width."""


def _as_wide(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "?" * sum(map(cells_of, lacking)), error.end


codecs.register_error(AS_WIDE, _as_wide)


class TerminalOutput:
    """A queue of bytes for one descriptor; ``write`` never waits and never fails."""

    def __init__(
        self,
        descriptor: int,
        *,
        encoding: str = "utf-8",
        on_backlog: Callable[[bool], object] = lambda _behind: None,
    ) -> None:
        """Starts the thread.

        Args:
            descriptor: the file descriptor to write to.
            encoding: the terminal's encoding; other characters become question marks of the
                same width.
            on_backlog: is called from any thread, with True when the output falls behind and with
                False when it has caught up. It must not block.
        """
        self._descriptor = descriptor
        self._encoding = encoding
        self._on_backlog = on_backlog
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._behind = False
        self._moved = time.monotonic()
        self._is_abandoned = False
        self._changed = threading.Condition()
        self.forgotten = False
        """Whether output was dropped, so that the screen differs from what was painted."""
        self.is_dead = False
        """Whether a write failed because the terminal is gone."""
        threading.Thread(target=self._run, name="terminal-output", daemon=True).start()

    def write(self, text: str) -> None:
        """Queues text; drops it if too much is waiting or the terminal is gone."""
        data = text.encode(self._encoding, AS_WIDE)
        with self._changed:
            if self.is_dead or self._is_abandoned or not data:
                return
            if self._waiting + len(data) > MAX_QUEUED_BYTES:
                self.forgotten = True
                return
            if not self._waiting:
                self._moved = time.monotonic()
            self._pieces.append(data)
            self._waiting += len(data)
            self._changed.notify_all()
            if not self._behind and self._waiting > BYTES_BEHIND:
                self._behind = True
                self._on_backlog(True)

    def abandon(self) -> None:
        """Drops the output that is not written yet, and queues only ``RESET``.

        ``RESET`` also ends an escape sequence that was cut off in the middle.
        """
        with self._changed:
            if self.is_dead or not self._waiting:
                return
            self._is_abandoned = True
            self._pieces = deque([RESET])
            self._waiting = len(RESET)
            self._changed.notify_all()

    def drain(self, patience: float = math.inf) -> bool:
        """Waits until all output is written, or none was written for ``patience`` seconds.

        Returns:
            Whether all output is written.
        """
        with self._changed:
            while self._waiting:
                left = self._moved + patience - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.05))
            return True

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pieces:
                    self._changed.wait()
                data = self._pieces[0]
            written = self._write(data[:BYTES_PER_WRITE])
            with self._changed:
                if self.is_dead:
                    self._pieces.clear()
                    self._waiting = 0
                elif data is self._pieces[0]:  # not abandoned meanwhile
                    self._waiting -= written
                    self._moved = time.monotonic()
                    if written == len(data):
                        self._pieces.popleft()
                    else:
                        self._pieces[0] = data[written:]
                self._changed.notify_all()
                if self._behind and not self._waiting:
                    self._behind = False
                    self._on_backlog(False)

    def _write(self, data: bytes) -> int:
        """Writes some bytes and returns how many; notes a terminal that is gone."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            # Another process has made the terminal non-blocking.
            time.sleep(0.02)
            return 0
        except OSError:
            self.is_dead = True
            return 0
