"""Decodes bytes to characters in one pass. The result never depends on the size of the chunks.

The rules, on which a resumed run relies:

* Without a named encoding, a byte order mark selects UTF-8, UTF-16 or UTF-32; without a mark, the
  encoding is UTF-8. Every invalid byte is an error. A leading byte order mark is dropped.
* CRLF and a lone CR become LF. Other separators (U+0085, U+2028, form feed) are data and stay.
* Lower case is applied to single characters: a final sigma is not a special case.
* A NUL byte outside UTF-16 and UTF-32, or the first bytes of a well-known other kind of file, is
  an error. Nothing is ever decompressed.

This module knows no file and no vocabulary.
"""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING

from corpus.errors import CorpusError, NotTextError
from corpus.likely_encodings import likely_encodings
from corpus.magic_bytes import compressed_with, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

HEAD_BYTES = 32
"""Bytes that are looked at before anything is decoded: enough for every mark and signature."""

_BYTE_ORDER_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32 LE"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32 BE"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16 LE"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16 BE"),
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
)
_MARK = "\ufeff"


def require_encoding(name: str | None) -> None:
    """Raises `CorpusError` where `name` is no text encoding that this Python can decode."""
    if name is not None:
        _codec(name)


def decode_chunks(
    chunks: Iterable[bytes],
    *,
    label: str,
    encoding: str | None = None,
    lowercase: bool = False,
    note: Callable[[str], None] | None = None,
) -> Generator[str, None, None]:
    """Yields the text of `chunks`, one string for each chunk that completes a character or more.

    Args:
        chunks: the bytes in order, cut anywhere; empty ones are passed on as empty strings.
        label: what an error names, a path for example.
        encoding: a Python encoding name; None lets a byte order mark decide, else UTF-8.
        lowercase: whether upper-case letters become lower-case.
        note: receives a sentence for the user about each change.

    Raises:
        NotTextError: the bytes look like something else than text.
        CorpusError: a byte is invalid (with its offset and line), or the encoding is unknown.
    """
    decoder = _Decoder(label=label, encoding=encoding, note=note or _nothing)
    for chunk in chunks:
        yield _lower(decoder.decode(chunk)) if lowercase else decoder.decode(chunk)
    last = decoder.decode(b"", final=True)
    yield _lower(last) if lowercase else last


def _nothing(_text: str) -> None:
    pass


def _lower(text: str) -> str:
    # str.lower() looks at the neighbours of one letter only, the capital sigma.
    return text.replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}").lower()


def _codec(name: str) -> codecs.CodecInfo:
    try:
        codec = codecs.lookup(name)
        # The flag tells text encodings from rot13, base64 and zlib, as bytes.decode() does it.
        if getattr(codec, "incrementaldecoder", None) and getattr(codec, "_is_text_encoding", True):
            return codec
    except (LookupError, ValueError):
        pass
    raise CorpusError(
        "--encoding", f"unknown encoding {name[:40]!r}", "name one, for example utf-8 or latin-1"
    )


class _Decoder:
    """The state between two chunks: pending bytes, offset, line, and a pending CR."""

    def __init__(self, *, label: str, encoding: str | None, note: Callable[[str], None]) -> None:
        self._label = label
        self._encoding = encoding
        self._note = note
        self._head = b""
        self._bytes: codecs.IncrementalDecoder | None = None
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._may_have_nul = False
        self._offset = 0
        self._lines = 0
        self._at_start = True
        if encoding is not None:
            _codec(encoding)

    def decode(self, chunk: bytes, *, final: bool = False) -> str:
        if self._bytes is None:
            self._head += chunk
            if len(self._head) < HEAD_BYTES and not final:
                return ""
            chunk, self._head = self._head, b""
            self._bytes = self._choose(chunk)
        if not self._may_have_nul and (place := chunk.find(b"\0")) >= 0:
            raise self._nul(chunk, place)
        self._offset += len(chunk)
        try:
            text = self._bytes.decode(chunk, final)
        except UnicodeError as error:
            raise self._invalid(error) from None
        if self._at_start and text:
            self._at_start = False
            if text[0] == _MARK:
                text = text[1:]
                self._note(f"byte order mark dropped, read as {self._shown_encoding()}")
        text = self._newlines.decode(text, final)
        self._lines += text.count("\n")
        return text

    def _choose(self, head: bytes) -> codecs.IncrementalDecoder:
        if compression := compressed_with(head):
            raise NotTextError(
                self._label, f"is compressed with {compression}", "decompress it first"
            )
        if kind := kind_of(head):
            raise NotTextError(self._label, f"is {kind}, not text", "give a plain text file")
        if self._encoding is None:
            marks = (name for mark, name, _ in _BYTE_ORDER_MARKS if head.startswith(mark))
            self._encoding = next(marks, "utf-8")
        codec = _codec(self._encoding)
        self._may_have_nul = codec.name.startswith(("utf-16", "utf-32"))
        return codec.incrementaldecoder("strict")

    def _shown_encoding(self) -> str:
        encoding = self._encoding or "utf-8"
        name = codecs.lookup(encoding).name
        return next((shown for _, plain, shown in _BYTE_ORDER_MARKS if plain == name), encoding)

    def _nul(self, chunk: bytes, place: int) -> NotTextError:
        wide = likely_encodings(chunk) if self._offset % 2 == 0 else []
        remedy = "give a plain text file"
        if wide:
            remedy = f"if it is UTF-16, say so: --encoding {wide[0]}"
        return NotTextError(
            self._label, f"looks binary (NUL at byte {self._offset + place})", remedy
        )

    def _invalid(self, error: UnicodeError) -> CorpusError:
        shown = self._shown_encoding()
        if not isinstance(error, UnicodeDecodeError):
            remedy = "name its encoding, for example --encoding utf-8"
            return CorpusError(self._label, f"not {shown} (near byte {self._offset})", remedy)
        line_start = error.object.rfind(b"\n", 0, error.start) + 1
        likely = likely_encodings(error.object[line_start:], but=self._encoding or "utf-8")
        remedy = "name its encoding, for example --encoding gb18030"
        if likely:
            remedy = f"name its encoding, perhaps --encoding {' or '.join(likely)}"
        # The error's object is what was pending plus the last chunk: it ends where we are.
        offset = self._offset - len(error.object) + error.start
        before = codecs.decode(error.object[: error.start], codecs.lookup(shown).name, "ignore")
        line = 1 + self._lines + self._newlines.decode(before, True).count("\n")
        cut = "end of data" in error.reason or "truncated" in error.reason
        end = ", cut short at the end" if cut else ""
        byte = f"0x{error.object[error.start]:02x}"
        return CorpusError(
            self._label, f"not {shown} at byte {offset} (line {line}): {byte}{end}", remedy
        )
