"""Bytes become the same characters however they are cut."""

# ruff: noqa: RUF001 - texts of many scripts
from __future__ import annotations

import codecs
import gzip
import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.decoding import decode_chunks, require_encoding
from corpus.errors import CorpusError, NotTextError

TRICKY = st.text(
    st.one_of(
        st.sampled_from("\r\n\rΣ\u03c3ς aA\u0130\ufeffé€😀\u2028\x85\x1b"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=80,
).map(lambda text: text.replace("\0", "0"))


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def decoded(data: bytes, size: int = 1 << 20, **options: object) -> str:
    return "".join(decode_chunks(cut(data, size), label="text", **options))  # type: ignore[arg-type]


def refused(data: bytes, size: int = 1 << 20, **options: object) -> str:
    with pytest.raises(CorpusError) as caught:
        decoded(data, size, **options)
    return str(caught.value)


@given(
    text=TRICKY,
    size=st.integers(1, 40),
    lowercase=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-16"]),
)
def test_the_result_does_not_depend_on_where_the_chunks_are_cut(
    text: str, size: int, lowercase: bool, encoding: str
) -> None:
    data = ("plain text first, so that no signature is met " + text).encode(encoding)
    assert decoded(data, size, encoding=encoding, lowercase=lowercase) == decoded(
        data, encoding=encoding, lowercase=lowercase
    )


@given(text=TRICKY)
def test_decoding_is_universal_newlines_and_lower_case_is_letter_by_letter(text: str) -> None:
    text = "x" + text
    expected = io.StringIO(text, newline=None).read()
    assert decoded(text.encode()) == expected
    assert decoded(text.encode(), lowercase=True) == "".join(map(str.lower, expected))


@given(data=st.binary(max_size=120), size=st.integers(1, 40))
def test_any_bytes_give_the_same_text_or_the_same_error_at_any_chunk_size(
    data: bytes, size: int
) -> None:
    def outcome(size: int) -> str:
        try:
            return decoded(data, size)
        except CorpusError as error:
            return str(error)

    if b"\0" not in data:
        # Where both a NUL and an invalid byte are in it, the chunks may decide which is named.
        assert outcome(size) == outcome(1 << 20)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"caf\xe9 au lait", "not UTF-8 at byte 3 (line 1): 0xe9; name its encoding"),
        (b"one\r\ntwo\rthree\n\xff", "not UTF-8 at byte 15 (line 4): 0xff"),
        (b"one\r\xff", "at byte 4 (line 2): 0xff"),
        (b"euro \xe2\x82", "at byte 5 (line 1): 0xe2, cut short at the end"),
        (b"overlong \xc0\xaf", "at byte 9 (line 1): 0xc0"),
        (b"surrogate \xed\xa0\xbd", "at byte 10 (line 1): 0xed"),
        ("é\n€\n".encode() + b"\x80" * 3, "at byte 7 (line 3): 0x80"),
        (b"\xff\xfea\0\n\0b", "not UTF-16 LE at byte 6 (line 2): 0x62, cut short at the end"),
        (b"line\n" * 20 + b"\xff", "at byte 100 (line 21): 0xff"),
        (b"line\r\n" * 20 + b"\xff", "at byte 120 (line 21): 0xff"),
        (b"\0 begins so", "looks binary (NUL at byte 0)"),
        (b"x" * 100 + b"\0", "looks binary (NUL at byte 100)"),
    ],
)
def test_a_bad_byte_is_named_with_its_offset_and_line(data: bytes, words: str, size: int) -> None:
    message = refused(data, size)
    assert words in message
    assert message.startswith("text: ")
    assert len(message) <= 200


def test_a_truncated_line_break_does_not_shift_the_line() -> None:
    assert "(line 2)" in refused(b"a" * 40 + b"\r\n\xff", 41)


def test_the_remedy_of_latin_1_works() -> None:
    assert decoded(b"caf\xe9", encoding="latin-1") == "café"


@pytest.mark.parametrize(
    ("mark", "encoding", "shown"),
    [
        (codecs.BOM_UTF8, "utf-8", "UTF-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16 LE"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16 BE"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32 LE"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32 BE"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_byte_order_mark_decides_is_dropped_and_noted(
    mark: bytes, encoding: str, shown: str, size: int
) -> None:
    notes: list[str] = []
    text = "Ça\nira 😀, ça ira, and on it goes"
    assert decoded(mark + text.encode(encoding), size, note=notes.append) == text
    assert notes == [f"byte order mark dropped, read as {shown}"]


def test_a_mark_in_the_middle_is_data() -> None:
    assert decoded("a\ufeffb".encode()) == "a\ufeffb"


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_without_a_mark_is_refused_with_a_hint(order: str) -> None:
    message = refused("It is plain text.".encode(f"utf-16-{order}"))
    assert "looks binary" in message
    assert f"--encoding utf-16-{order}" in message


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\x7fELF\x02", "ELF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"GIF89a", "GIF"),
        (b"SQLite format 3\0", "SQLite"),
        (b"PK\x03\x04", "compressed with zip; decompress it first"),
        (b"\xfd7zXZ\0", "compressed with xz; decompress it first"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd; decompress it first"),
        (b"BZh91AY&SY", "compressed with bzip2; decompress it first"),
        (gzip.compress(b"text", mtime=0), "compressed with gzip; decompress it first"),
    ],
)
@pytest.mark.parametrize("encoding", [None, "latin-1"])
def test_other_kinds_of_files_are_named(head: bytes, words: str, encoding: str | None) -> None:
    with pytest.raises(NotTextError, match=words.replace("(", r"\(")):
        decoded(head + b"\x01" * 99, 7, encoding=encoding)


def test_a_text_that_begins_like_bzip2_is_a_text() -> None:
    assert decoded(b"BZh is how they begin") == "BZh is how they begin"


def test_a_compressed_bomb_is_refused_after_its_first_chunk() -> None:
    taken = []

    def endless() -> object:
        while True:
            taken.append(1)
            yield b"\x1f\x8b" + b"\0" * 1000

    with pytest.raises(NotTextError):
        list(decode_chunks(endless(), label="bomb"))  # type: ignore[arg-type]
    assert len(taken) == 1


@pytest.mark.parametrize("name", ["nonsense", "", "rot13", "base64", "zlib", "a\0b", "é" * 500])
def test_an_unknown_encoding_is_an_error_of_the_option(name: str) -> None:
    with pytest.raises(CorpusError, match="unknown encoding") as caught:
        require_encoding(name)
    assert caught.value.subject == "--encoding"
    assert len(str(caught.value)) <= 200


def test_separators_that_are_no_line_ends_here_are_data() -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1b[31m\u202e\x9b"
    assert decoded(text.encode()) == text


def test_empty_chunks_pass_through() -> None:
    assert "".join(decode_chunks([b"", b"a", b"", b"b"], label="pipe")) == "ab"
    assert "".join(decode_chunks([], label="nothing")) == ""


LEGACY = {
    "gb18030": "第一章 灵根育孕源流出 心性修持大道生。诗曰：混沌未分天地乱，茫茫渺渺无人见。",
    "big5": "第一章 靈根育孕源流出 心性修持大道生。詩曰：混沌未分天地亂，茫茫渺渺無人見。",
    "shift_jis": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "euc_jp": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "euc_kr": "옛날 옛적에 호랑이가 담배 피우던 시절에 한 나무꾼이 살고 있었습니다.",
    "koi8-r": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья",
    "cp1251": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy. Zażółć gęślą jaźń",
    "cp1252": "“Où sont les neiges d’antan?” — Déjà l’été…",
    "cp1253": "Μήνιν άειδε θεά Πηληιάδεω Αχιλήος",
    "cp1254": "İstanbul'da güzel bir gün, ağaçların gölgesinde oturdu. Şimdi ışık",
    "cp1255": "בראשית ברא אלהים את השמים",
    "cp1256": "كان يا ما كان في قديم الزمان",
    "cp874": "กาลครั้งหนึ่งนานมาแล้ว",
    "latin-1": "Où sont les neiges d'antan? Déjà l'été, la forêt; façade.",
    "utf-16-le": "第一章 灵根育孕源流出 心性修持大道生。",
    "utf-16-be": "Все счастливые семьи похожи друг на друга",
}


@pytest.mark.parametrize("name", LEGACY)
def test_the_remedy_names_the_encoding_that_reads_right(name: str) -> None:
    """C19: latin-1 decodes anything, and makes mojibake of most of it."""
    text = f"{LEGACY[name]}\n" * 20
    with pytest.raises(CorpusError) as caught:
        decoded(b"a title\n" * (not name.startswith("utf")) + text.encode(name))
    named = caught.value.remedy.partition("--encoding ")[2].split(" or ")
    assert text.encode(name).decode(named[0]) == text


def test_no_encoding_is_guessed_where_none_reads_right() -> None:
    noise = random.Random(5).randbytes(4000).replace(b"\0", b"x")
    with pytest.raises(CorpusError, match="for example --encoding gb18030"):
        decoded(b"text " + noise)
