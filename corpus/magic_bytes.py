"""The first bytes by which well-known files that are not text are recognised.

Only bytes are compared: no file is opened, nothing is decompressed.
"""

from __future__ import annotations

_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
)
_BLOCK_OF_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")

_OTHER = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF87a", "a GIF picture"),
    (b"GIF89a", "a GIF picture"),
    (b"\x7fELF", "a program (ELF)"),
    (b"\xcf\xfa\xed\xfe", "a program (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a compiled program"),
    (b"\x00asm", "a program (WebAssembly)"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"OggS\x00", "a sound or film (Ogg)"),
    (b"fLaC\x00", "a sound (FLAC)"),
)


def compressed_with(head: bytes) -> str | None:
    """Returns the name of the compression that `head` begins with, or None."""
    for magic, name in _COMPRESSED:
        if head.startswith(magic):
            # A text may begin with these three letters. In bzip2, one of two block headers follows.
            if name == "bzip2" and not head.startswith(_BLOCK_OF_BZIP2, 4):
                continue
            return name
    return None


def kind_of(head: bytes) -> str | None:
    """Returns what a file that begins with `head` is, with its article, or None."""
    return next((kind for magic, kind in _OTHER if head.startswith(magic)), None)
