"""Hashes of images and captions: what makes two of them the same."""

from __future__ import annotations

import unicodedata

import xxhash


def xxh3(data: bytes) -> bytes:
    """Hash bytes by xxh3, 128 bits; 16 bytes."""
    return xxhash.xxh3_128_digest(data)


def caption_key(caption: str) -> bytes:
    """Hash what makes two captions the same text (xxh3, 16 bytes): after NFKC and casefold, runs of white space as one.

    White space at the ends does not count.
    """
    if not caption.isascii():
        caption = unicodedata.normalize("NFKC", caption)
    return xxhash.xxh3_128_digest(" ".join(caption.casefold().split()).encode("utf-8", "surrogatepass"))
