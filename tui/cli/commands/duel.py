"""``charlm-tui duel``: guess held-out letters against a run, line by line, without a screen."""

from __future__ import annotations

import queue
import random
import sys
from pathlib import Path
from typing import TypeVar

import click

from corpus import CorpusError
from model.commands import JudgeLetter, StartDuel
from model.config import MAX_SEED, require_range
from model.duel.game import Duel
from model.errors import CheckpointError
from model.events import DuelEvent, DuelLetterJudged, DuelRefused, DuelStarted
from model.runs.folder import RunFolder
from model.runs.reload_corpus import reload_corpus
from model.session.duel_scores import DuelScores
from model.session.duel_thread import DuelThread
from tui.cli.options import checkpoints_option, seed_option
from tui.console.exit_status import complain
from tui.duel.duel_words import result_forms, score_words
from tui.sanitise import printable
from tui.screens.prompt_entry import unescaped
from tui.widgets.symbols import symbol_label

Kind = TypeVar("Kind", DuelStarted, DuelLetterJudged)

_RULES = (
    "Type letters and press Enter: they are guessed in turn, up to a wrong one. \\n is a new\n"
    "line, \\t a tab. An empty line gives up the letter. Ctrl+D ends the duel."
)


@click.command()
@click.argument("run", required=False)
@checkpoints_option
@seed_option
def duel(*, run: str | None, root: Path, seed: int | None) -> None:
    """Guess held-out letters against the best weights of RUN (default: the newest).

    Letters are read from standard input, line by line: each letter of a line is a guess, up to a
    wrong one. An empty line gives up. The score is kept with the run, as in the app.
    """
    if seed is not None:
        require_range("seed", seed, 0, MAX_SEED)
    folder = RunFolder.find(root, run)
    player = _Model(folder)
    try:
        started = player.start(random.randrange(10**6) if seed is None else seed)  # noqa: S311
        game = Duel(started.text, started.context, started.by_frequency, seed=started.seed)
        print(f"{_RULES}\n\n{printable(game.text[: game.context], keep_newlines=True)}", flush=True)
        _play(game, player)
    finally:
        player.stop()
    if game.score is not None:
        print(score_words(game.score))


class _Model:
    """The model's side of the duel: best weights, and the thread that reads with them."""

    def __init__(self, folder: RunFolder) -> None:
        """Reads the weights and the text.

        Raises:
            UserError: one of them cannot be read.
        """
        self._name = folder.path.name
        self._said: queue.SimpleQueue[DuelEvent] = queue.SimpleQueue()
        self._thread = DuelThread(self._said.put)
        checkpoint = folder.checkpoints.load_best(complain)
        reloaded = reload_corpus(checkpoint.metadata, lambda: False)
        if isinstance(reloaded, str):
            raise CheckpointError(
                folder.name, f"its text is missing ({reloaded})", "restore the text"
            )
        _, split = reloaded
        self._thread.publish(checkpoint.published())
        self._thread.use_text(split, DuelScores(folder))

    def start(self, seed: int) -> DuelStarted:
        """Returns a passage.

        Raises:
            CorpusError: there is too little held-out text.
        """
        self._thread.post(StartDuel(seed=seed))
        return self._next(DuelStarted)

    def judge(self, game: Duel) -> DuelLetterJudged:
        """Returns the model's figures for the last solved letter."""
        last = game.solved[-1]
        self._thread.post(JudgeLetter(place=last.place, rank=last.rank, gave_up=last.gave_up))
        return self._next(DuelLetterJudged)

    def stop(self) -> None:
        """Ends the thread."""
        self._thread.stop()

    def _next(self, kind: type[Kind]) -> Kind:
        event = self._said.get()
        if isinstance(event, DuelRefused):
            reason = event.reason.removesuffix(".")
            raise CorpusError(self._name, reason[:1].lower() + reason[1:], "name another run")
        assert isinstance(event, kind)
        return event


def _play(game: Duel, player: _Model) -> None:
    """Reads lines until the input or the passage ends; complains once if the score is not kept."""
    was_kept = True
    for line in sys.stdin:
        symbols = unescaped(line.rstrip("\r\n"))
        if not symbols:
            game.give_up()
            was_kept = _report(game, player, was_kept=was_kept)
        for symbol in symbols:
            verdict = game.guess(symbol)
            if verdict == "right":
                was_kept = _report(game, player, was_kept=was_kept)
            else:
                print(f"{symbol_label(symbol)}: {_NOT_RIGHT.get(verdict, verdict)}", flush=True)
                break
        if game.is_over:
            return
        print(f"... {_line_so_far(game)}?", flush=True)


_NOT_RIGHT = {"wrong": "no", "tried": "was tried already", "unknown": "no letter of this text"}


def _report(game: Duel, player: _Model, *, was_kept: bool) -> bool:
    """Prints what both players needed for the last letter; returns whether it was kept."""
    judged = player.judge(game)
    game.judge(judged.letter)
    print(result_forms(game.solved[-1], judged.letter)[0], flush=True)
    if judged.not_kept and was_kept:
        complain(f"the score is not kept: {judged.not_kept}")
    return not judged.not_kept


def _line_so_far(game: Duel) -> str:
    """Returns the end of the line in which the letter to guess stands."""
    return printable(game.text[: game.place].rpartition("\n")[2][-60:])
