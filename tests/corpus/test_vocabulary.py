"""Symbols and ids."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import CorpusError, Vocabulary
from corpus.vocabulary import smallest_dtype

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(text=TEXTS)
def test_decoding_undoes_encoding(text: str) -> None:
    vocabulary = Vocabulary.from_symbols(text)
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode(ids.tolist()) == text
    assert ids.dtype == vocabulary.dtype


@given(text=TEXTS, other=st.characters(exclude_categories=["Cs"]))
def test_a_symbol_is_in_it_exactly_when_it_has_an_id(text: str, other: str) -> None:
    vocabulary = Vocabulary.from_symbols(text)
    assert vocabulary.symbols == tuple(sorted(set(text)))
    if other in vocabulary:
        assert vocabulary.symbols[vocabulary.id_of(other)] == other
    else:
        assert other not in text
        with pytest.raises(CorpusError, match=r"U\+[0-9A-F]{4,6} is not in the vocabulary"):
            vocabulary.id_of(other)


@given(count=st.integers(1, 0x110000))
def test_the_dtype_is_the_smallest_that_holds_every_id(count: int) -> None:
    dtype = smallest_dtype(count)
    assert np.iinfo(dtype).max >= count - 1
    smaller = [bits for bits in (8, 16, 32) if bits < dtype.itemsize * 8]
    assert all(count > 2**bits for bits in smaller)


@pytest.mark.parametrize(
    ("count", "dtype"), [(256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4")]
)
def test_the_dtype_changes_where_a_byte_is_full(count: int, dtype: str) -> None:
    assert smallest_dtype(count) == np.dtype(dtype)


def test_the_first_unknown_character_is_named() -> None:
    with pytest.raises(CorpusError, match=r"character 3 of the text: U\+00E9"):
        Vocabulary.from_symbols("abc").encode("abéx")


def test_ids_outside_it_are_refused() -> None:
    for outside in (-1, 3):
        with pytest.raises(IndexError):
            Vocabulary.from_symbols("abc").decode([0, outside])


def test_nothing_is_no_vocabulary_and_half_a_pair_is_no_symbol() -> None:
    for symbols in ("", "a\ud800"):
        with pytest.raises(ValueError, match="symbol"):
            Vocabulary.from_symbols(symbols)
    with pytest.raises(ValueError, match="one Unicode character"):
        Vocabulary.from_symbols(["ab"])
    with pytest.raises(ValueError, match="order"):
        Vocabulary(("b", "a"))


def test_vocabularies_with_the_same_symbols_are_equal_and_travel() -> None:
    vocabulary = Vocabulary.from_symbols("banana")
    assert vocabulary == Vocabulary.from_symbols("abn")
    assert hash(vocabulary) == hash(Vocabulary.from_symbols("abn"))
    assert pickle.loads(pickle.dumps(vocabulary)).encode("nab").tolist() == [2, 0, 1]
    assert len(vocabulary) == 3
    assert "ab" not in vocabulary
    assert 7 not in vocabulary
