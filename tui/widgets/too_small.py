"""What a terminal below 40x10 gets: one sentence."""

from __future__ import annotations

from textual.widget import Widget

MINIMUM_COLUMNS = 40
MINIMUM_ROWS = 10


class TooSmall(Widget):
    """Says which size is needed; shown by the style sheet."""

    def render(self) -> str:
        """Returns the sentence with the size at hand."""
        width, height = self.app.size
        return (
            f"Needs {MINIMUM_COLUMNS}x{MINIMUM_ROWS}, here {width}x{height}. "
            "Training goes on; q quits."
        )
