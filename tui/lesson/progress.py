"""How far the user has come in the lesson. It outlives a session, and knows no screen."""

from __future__ import annotations

from collections.abc import Sequence

from tui.lesson.conditions import Condition, Reading, Situation


class LessonProgress:
    """The step that is shown, and how many of its conditions each step has seen fulfilled."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.is_open = is_open
        """Whether the lesson is on the screen."""
        self.index = 0
        """Of the step that is shown."""
        self.asks_to_skip = False
        """Whether the user wants to leave a step that is not done; the second time skips it."""
        self.run_before: tuple[str, bool] | None = None
        """The run that was left for the short text, and whether it was still training."""
        self._readings: dict[int, list[Reading]] = {}

    @property
    def met(self) -> tuple[Reading, ...]:
        """Values that fulfilled conditions of the step that is shown; they are met in order."""
        return tuple(self._readings.get(self.index, ()))

    def listen(self, conditions: Sequence[Condition], situation: Situation) -> None:
        """Notes which of the step's next conditions hold now; one that was met stays so."""
        readings = self._readings.setdefault(self.index, [])
        for condition in conditions[len(readings) :]:
            if not condition.holds(situation):
                break
            readings.append(condition.read(situation))
            self.asks_to_skip = False

    def go_on(self, *, is_done: bool, count: int) -> None:
        """Goes to the next step; a step that is not done is left at the second call.

        Args:
            is_done: whether nothing is left to do in this step.
            count: number of steps.
        """
        if not is_done and not self.asks_to_skip:
            self.asks_to_skip = True
        else:
            self._go_to(min(count - 1, self.index + 1))

    def go_back(self) -> None:
        """Goes to the step before."""
        self._go_to(max(0, self.index - 1))

    def _go_to(self, index: int) -> None:
        self.index, self.asks_to_skip = index, False
