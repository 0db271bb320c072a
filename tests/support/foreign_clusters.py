"""Texts of emoji, flags, syllables and signs, whole and in any order."""

from __future__ import annotations

import unicodedata
from typing import Final

from hypothesis import strategies as st

EXAMPLES: Final = (
    "👍🏽",
    "🇧🇷🇩🇪",
    "👩‍👩‍👧‍👦",
    "🏴\u200d☠️",
    "1️⃣",
    "☺️ ☺︎",
    "⌚︎",
    "e\u0301\u0323",
    unicodedata.normalize("NFD", "옛날"),
    "\u1100\u1100\u1161\u11a8",
    "क्षत्रिय",
    "हि",
    "ക്ഷ",
    "กำ",
    "ﾊﾞ",
    "\u200b\u200d\u200c\ufeff",
    "日本",
    "\u3164㉈䷀",
    "\U000e0067\U000e007f",
)
"""Whole clusters of each kind."""

_PARTS: Final = tuple(
    sorted(set("".join(EXAMPLES) + "abc 🏻🏿🇦\u20e3\ufe0e\u093e\u094d\u302e\u0d4e"))
)

CLUSTER_TEXTS: Final = st.lists(
    st.one_of(st.sampled_from(EXAMPLES), st.sampled_from(_PARTS), st.sampled_from("ab ")),
    max_size=40,
).map("".join)
"""Whole clusters, and their code points in any order, as a model writes them."""
