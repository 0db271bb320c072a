"""The sentence that a terminal smaller than 40x10 shows."""

from __future__ import annotations

from textual.widget import Widget

MINIMUM_COLUMNS = 40
MINIMUM_ROWS = 10


class TooSmall(Widget):
    """Says which size is needed; the style sheet shows it."""

    def render(self) -> str:
        """Returns the sentence with the current size."""
        width, height = self.app.size
        return (
            f"Needs {MINIMUM_COLUMNS}x{MINIMUM_ROWS}, here {width}x{height}. "
            "Training goes on; q quits."
        )
