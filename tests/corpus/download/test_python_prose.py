"""The prose of Python's reference: which paragraphs stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.download.python_prose import prose_of

SENTENCE = "A name is bound in the block in which it is written."


@pytest.mark.parametrize(
    "other",
    [
        "Naming and binding\n==================",
        "+-------+-------+\n| Name  | Meaning of the name in a table. |\n+-------+-------+",
        '   if_stmt ::= "if" assignment_expression ":" suite and so on and on.',
        "   >>> print(spam)\n   Spam is what this prints, and it ends with a stop.",
        "   for i in range(10): a[i] = b[i] + c[i]; d[i] = (e[i] * f[i] - 1) % 7.",
        "object.__add__(self, other)",
        "Changed in version 3.9: Functions may be decorated with any valid expression.",
        "The methods __add__, __sub__ and __mul__ are called for the operators of sums.",
    ],
    ids=[
        "heading",
        "table",
        "grammar",
        "session",
        "listing",
        "signature",
        "version",
        "underscores",
    ],
)
def test_what_is_no_prose_is_left_out(other: str) -> None:
    assert prose_of([f"{SENTENCE}\n\n{other}\n\n{SENTENCE[:-1]}, too."]) == (
        f"{SENTENCE}\n\n{SENTENCE[:-1]}, too.\n"
    )


def test_bullets_indents_and_emphasis_go_and_lines_stay() -> None:
    topic = "   * A *name* is bound in the **block**\n     in which it is written with *args."
    assert prose_of([topic]) == "A name is bound in the block\nin which it is written with *args.\n"


def test_a_paragraph_of_several_topics_stays_once() -> None:
    assert prose_of([SENTENCE, SENTENCE]) == SENTENCE + "\n"


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_text_gives_paragraphs_of_it_that_read_the_same_again(topics: list[str]) -> None:
    once = prose_of(topics)
    assert prose_of([once]) == once or not once.strip()
