"""Hashes of bytes and of captions, 16 bytes each, by which equal ones are found."""

from __future__ import annotations

import unicodedata

import xxhash


def xxh3(data: bytes) -> bytes:
    """The XXH3 hash of 128 bits of some bytes, in its canonical (big-endian) form."""
    return xxhash.xxh3_128_digest(data)


def caption_key(text: str) -> bytes:
    """The XXH3 hash of a caption without what does not change its words: NFKC, casefold, white space as one blank."""
    return xxh3(" ".join(unicodedata.normalize("NFKC", text).casefold().split()).encode())
