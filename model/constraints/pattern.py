"""Looks for a regular expression in lines, in a child process.

Some expressions take longer than a life on some lines, and Python lets no other thread run
meanwhile: the screen would freeze. The child (``model.constraints.pattern_child``) ends itself
after `pattern_child.MAX_SECONDS`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack

from model.errors import ChildEnded, ConfigError
from model.system.child_process import AnsweringChild, answering_child


class PatternMatcher:
    """Tells which lines an expression is found in; starts its child with the first question."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._stack = ExitStack()
        self._child: AnsweringChild | None = None

    def matches(self, lines: Sequence[str]) -> list[bool]:
        """Returns for each line whether the expression is found in it.

        Raises:
            ConfigError: the lines take too long, or the child process was ended.
        """
        try:
            if self._child is None:
                child = answering_child(
                    "--line-matches", "model.constraints.pattern_child", environment=os.environ
                )
                self._child = self._stack.enter_context(child)
            answer = self._child.ask(json.dumps([self._pattern, list(lines)]))
        except ChildEnded as error:
            self.close()
            remedy = "give a simpler expression; repeats within repeats, as in (a+)+, take long"
            raise ConfigError(
                "--line-matches", "takes more than a second for 64 lines", remedy
            ) from error
        found: list[bool] = json.loads(answer)
        return found

    def close(self) -> None:
        """Ends the child."""
        self._child = None
        self._stack.close()
