"""What the screen and the command line say of a duel: letters, guesses and scores. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.counted import counted
from model.duel.game import Solved
from model.duel.score import DuelScore, LetterPlayed
from tui.view.format import grouped
from tui.widgets.symbols import symbol_label


def human_forms(score: DuelScore) -> Sequence[str]:
    """Returns the user's bounds, the longest form first."""
    bounds = f"{score.human.lower:.2f} to {score.human.upper:.2f}"
    letters = counted(score.human.letters, "letter")
    given_up = f", {grouped(score.given_up)} given up" if score.given_up else ""
    return (
        f"{bounds} bits per character (bounds from {letters}{given_up})",
        f"{bounds} bits (bounds, {letters}{given_up})",
        f"{bounds} (bounds, {letters})",
        f"{bounds} (bounds of {grouped(score.human.letters)})",
    )


def model_forms(score: DuelScore) -> Sequence[str]:
    """Returns the model's bits, the longest form first."""
    bounds = f"{score.model.lower:.2f} to {score.model.upper:.2f}"
    return (
        f"{score.model_bits:.2f} bits per character (exactly; by its ranks {bounds})",
        f"{score.model_bits:.2f} bits (exactly; ranks {bounds})",
        f"{score.model_bits:.2f} bits (exactly)",
    )


def score_words(score: DuelScore) -> str:
    """Returns the score as one sentence."""
    human = f"{score.human.lower:.2f} to {score.human.upper:.2f}"
    return (
        f"You {human} (bounds), the model {score.model_bits:.2f} bits per character, "
        f"from {counted(score.human.letters, 'letter')}."
    )


def result_forms(
    solved: Solved, played: LetterPlayed | None, *, ascii_only: bool = False
) -> Sequence[str]:
    """Returns what both players needed for a letter, the longest form first.

    Args:
        solved: the user's part.
        played: with the model's part; None before the model has guessed.
        ascii_only: draw with ASCII only.
    """
    letter = symbol_label(solved.character, ascii_only=ascii_only)
    rank = grouped(solved.rank)
    human = f"you gave up (counts as guess {rank})" if solved.gave_up else f"you at guess {rank}"
    short = f"you gave up ({rank})" if solved.gave_up else f"you {rank}"
    if played is None:
        return (f"{letter}: {human}, the model ...", f"{letter}: {short}, model ...")
    model_rank, bits = grouped(played.model_rank), f"{played.model_bits:.2f} bits"
    return (
        f"{letter}: {human}, the model at guess {model_rank} ({bits}, step {grouped(played.step)})",
        f"{letter}: {human}, the model at {model_rank} ({bits})",
        f"{letter}: {short}, model {model_rank} ({bits})",
        f"{letter}: {short.removeprefix('you ')}, model {model_rank} ({played.model_bits:.2f})",
    )


def rules_forms(symbols: frozenset[str]) -> Sequence[str]:
    """Returns how to guess, the longest form first.

    Args:
        symbols: of the vocabulary, which decide what is worth saying.
    """
    has_case = any(symbol.islower() and symbol.upper() in symbols for symbol in symbols)
    keys = [
        *(["Enter is a new line"] if "\n" in symbols else []),
        *(["Shift+Tab is a tab"] if "\t" in symbols else []),
        *(["case counts"] if has_case else []),
    ]
    return (
        "; ".join(("Type the letter that follows", *keys, "Up looks back")) + ".",
        "; ".join(("Type the next letter", *keys)) + ".",
        "Type the next letter.",
    )
