"""What a file that is no tar is instead, from its first bytes, with what to do about it."""

from __future__ import annotations

_COMPRESSED = "no tar but {0}-compressed data (decompress it: {0} -d)"
_PAGE = "no tar but {} (as a failed download leaves it; fetch the shard again)"
# (first bytes in lower case, what it is)
_SIGNATURES = (
    (b"\x1f\x8b", _COMPRESSED.format("gzip")),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED.format("zstd")),
    (b"bzh", _COMPRESSED.format("bzip2")),
    (b"\xfd7zxz\0", _COMPRESSED.format("xz")),
    (b"\x04\x22\x4d\x18", _COMPRESSED.format("lz4")),
    (b"pk\x03\x04", "no tar but a zip archive (unpack it and write a tar)"),
    (b"7z\xbc\xaf\x27\x1c", "no tar but a 7z archive (unpack it and write a tar)"),
    (b"par1", "no tar but a Parquet file"),
    (b"version https://git-lfs", "no tar but a pointer of git-lfs (fetch the file: git lfs pull)"),
    (b"<!doctype html", _PAGE.format("an HTML page")),
    (b"<html", _PAGE.format("an HTML page")),
    (b"<?xml", _PAGE.format("an XML message")),
)


def foreign_format(first: bytes) -> str | None:
    """Name the format of a file that begins with these bytes, with the way out; None when it is not recognised."""
    beginnings = (first.lower(), first.removeprefix(b"\xef\xbb\xbf").lstrip().lower())
    for signature, what in _SIGNATURES:
        if any(beginning.startswith(signature) for beginning in beginnings):
            return what
    return None
