"""Which characters of a stream come from drafts of lines. NumPy.

At the start of a line `DRAFTS` drafts are written and judged. One of those that fit is taken and
becomes the plan of the next characters. If none fits and the line needs an initial, as many drafts
follow that all begin with it. If none rhymes, one is taken that fits all other rules. If none fits
those either, the line goes on without a plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from corpus import Vocabulary
from model.constraint_config import DRAFTS, Constraints
from model.constraints.letters import allowed_symbols, initial_symbols
from model.constraints.line_rules import FIRST_LINE, LinePlace, LineRules
from model.events import LineDrafted
from model.network.snapshot import WeightSnapshot
from model.sampling.drafts import Draft, DraftStart, drafted_lines
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.stepper import CarryingBatchStepper

MAX_KNOWN_CHARACTERS = 1_000
"""Characters of a line that are kept: a longer one fits no rule."""


class LineWriter:
    """Plans the characters of one text that obeys constraints."""

    def __init__(self, constraints: Constraints, vocabulary: Vocabulary) -> None:
        """Checks that the model can obey.

        Raises:
            ConfigError: nothing may be written, or no line can end, or the extra "verse" is
                missing.
        """
        self.allowed = allowed_symbols(constraints, vocabulary)
        """[V], the symbols that may be written; None if all may."""
        self.place = FIRST_LINE
        """Where the present line stands in the poem."""
        self.drafted: LineDrafted | None = None
        """What became of the last drafts, until it is taken."""
        self._vocabulary = vocabulary
        self._rules = LineRules(constraints) if constraints.has_line_rules else None
        self._takes_likeliest = constraints.line_choice == "likely"
        self._line = ""
        self._plan: deque[int] = deque()
        self._is_free = False
        self._stepper: CarryingBatchStepper | None = None
        self._weights: WeightSnapshot | None = None

    def resume(self, line: str, place: LinePlace) -> None:
        """Goes on from another place of the text, of whose line some characters are written."""
        self._line, self.place = line[-MAX_KNOWN_CHARACTERS:], place
        self.forget_plan()

    def forget_plan(self) -> None:
        """Drafts the rest of the line again, from where it stands."""
        self._plan.clear()
        self._is_free = False

    def planned(self, weights: WeightSnapshot, start: Callable[[int], DraftStart]) -> int | None:
        """Returns the id of the next character; None if no draft decides it.

        Args:
            weights: the weights in use.
            start: returns where the drafts begin, for a number of drafts.

        Raises:
            ConfigError: the pattern takes too long.
        """
        if self._rules is None or self._is_free:
            return None
        if not self._plan:
            self._draft(self._rules, weights, start)
        return self._plan.popleft() if self._plan else None

    def read(self, symbol_id: int) -> None:
        """Notes a character that was written."""
        if self._rules is None:
            return
        symbol = self._vocabulary.symbols[symbol_id]
        if symbol == "\n":
            self.resume("", self._rules.after(self._line, self.place))
        else:
            self._line = (self._line + symbol)[-MAX_KNOWN_CHARACTERS:]

    def close(self) -> None:
        """Ends the child process of a pattern, if there is one."""
        if self._rules is not None:
            self._rules.close()

    def _draft(
        self, rules: LineRules, weights: WeightSnapshot, start: Callable[[int], DraftStart]
    ) -> None:
        """Plans the rest of the line, or leaves the line without a plan if no draft fits."""
        stepper, begin, count = self._stepper_for(weights), start(DRAFTS), DRAFTS
        free = self._drafts(rules, stepper, begin)
        kept = self._fitting(rules, free)
        initial = rules.initial(self._line, self.place)
        if not kept and initial is not None:
            begin = replace(
                begin, initials=initial_symbols(initial, self.allowed, self._vocabulary)
            )
            kept = self._fitting(rules, self._drafts(rules, stepper, begin))
            count += DRAFTS
        usable = kept
        if not kept and rules.has_rhyme:
            usable = self._fitting(rules, free, rhyming=False)
        self._is_free = not usable
        cost = None
        if usable:
            taken = self._taken(usable)
            self._plan.extend(taken.ids)
            cost = taken.bits_per_character - self._taken(free).bits_per_character
        self.drafted = LineDrafted(kept=len(kept), drafts=count, cost=cost)

    def _drafts(
        self, rules: LineRules, stepper: CarryingBatchStepper, start: DraftStart
    ) -> list[Draft]:
        """Returns drafts of the rest of the line; none if the line is too long already."""
        most = rules.longest - len(self._line) + 1
        if most < 1:
            return []
        line_feed = self._vocabulary.id_of("\n")
        return drafted_lines(stepper, start, drafts=DRAFTS, line_feed=line_feed, most=most)

    def _fitting(
        self, rules: LineRules, drafts: list[Draft], *, rhyming: bool = True
    ) -> list[Draft]:
        """Returns the drafts whose whole line fits; see `LineRules.fits`."""
        ended = [draft for draft in drafts if draft.ends]
        lines = [self._line + self._vocabulary.decode(draft.ids[:-1]) for draft in ended]
        fitting = rules.fits(lines, self.place, rhyming=rhyming)
        return [draft for draft, fits in zip(ended, fitting, strict=True) if fits]

    def _taken(self, drafts: list[Draft]) -> Draft:
        """Returns the likeliest draft; or the first one, which is as good as any random one."""
        if self._takes_likeliest:
            return min(drafts, key=lambda draft: draft.bits_per_character)
        return drafts[0]

    def _stepper_for(self, weights: WeightSnapshot) -> CarryingBatchStepper:
        """Returns the stepper of the drafts, with these weights."""
        before, self._weights = self._weights, weights
        if self._stepper is None or before is None or not weights.has_shape_of(before):
            self._stepper = numpy_batch_stepper(weights, DRAFTS)
        elif weights is not before:
            self._stepper.adopt(weights)
        return self._stepper
