"""The prose of Python's reference: what remains without tables, grammar and code. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_BLANK: Final = re.compile(r"\n[ \t]*\n")
_SENTENCE_END: Final = re.compile(r"[.:;!?][)\"\u2019\u201d]*\Z")
_WORD: Final = re.compile(r"\b[A-Za-z][a-z'\u2019]*\b")
_PLAIN: Final = re.compile(r"[\w\s,.;:'\u2019\"()-]")
_OF_CODE: Final = re.compile(r">>>|::=|->|[|_]_.*_[|_].*[|_]_|\|", re.DOTALL)
"""Signs of listings, grammar and tables; and a second name with two underscores."""
_EMPHASIS: Final = re.compile(r"(?<![\w*\"\u201c])(\*{1,2})(\w[\w ,.'\u2019-]*)\1(?![\w*])")
_VERSIONS: Final = re.compile(r"(Changed|Added|New|Deprecated) (in|since) version\b")
_MIN_WORDS: Final = 6
_MIN_PLAIN_SHARE: Final = 0.95
"""Of a paragraph's characters, how many are letters, digits, spaces or usual punctuation."""


def prose_of(topics: Iterable[str]) -> str:
    """Returns the paragraphs of some topics that read like prose, each once, in their order.

    Args:
        topics: texts as `help()` shows them; blank lines separate their paragraphs.
    """
    paragraphs = (paragraph for topic in topics for paragraph in _paragraphs(topic))
    return "\n\n".join(dict.fromkeys(filter(_is_prose, paragraphs))) + "\n"


def _paragraphs(topic: str) -> Iterator[str]:
    """Yields the paragraphs without indent, bullet, and asterisks of emphasis."""
    for block in _BLANK.split(topic.strip("\n")):
        lines = [line.strip() for line in block.splitlines()]
        yield _EMPHASIS.sub(r"\2", "\n".join(lines).removeprefix("* "))


def _is_prose(paragraph: str) -> bool:
    """Tells whether a paragraph is made of sentences: no table, grammar, code or heading."""
    return (
        paragraph[:1].isupper()
        and _SENTENCE_END.search(paragraph) is not None
        and _OF_CODE.search(paragraph) is None
        and _VERSIONS.match(paragraph) is None
        and len(_WORD.findall(paragraph)) >= _MIN_WORDS
        and len(_PLAIN.findall(paragraph)) >= _MIN_PLAIN_SHARE * len(paragraph)
    )
