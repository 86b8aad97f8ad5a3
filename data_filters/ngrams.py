"""Hashes of the words and pairs of words of captions.

A caption's words: the text is put into the form NFKC and casefolded, and every character of punctuation, symbols,
separators and control (Unicode's categories P, S, Z, C) ends a word; so `Don't-stop!` has three words, and a script
that writes no spaces has a word per sentence. Unassigned characters (Cn) are kept in words, as letters are.

A unigram is a word; a bigram two words that follow each other, whatever stood between them.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import xxhash

from data_filters.mixing import Hashes, mix_two

UNICODE_VERSION = unicodedata.unidata_version
"""Of the tables of this Python, on which the words of rare characters depend."""

_ASCII_BREAKS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})


def words(caption: str) -> list[str]:
    """The words of a caption, in order, repeated ones repeated."""
    if caption.isascii():
        return caption.lower().translate(_ASCII_BREAKS).split()
    return _breaks().sub(" ", unicodedata.normalize("NFKC", caption).casefold()).split()


@cache
def _breaks() -> re.Pattern[str]:
    """One or more characters that end a word. Made once, since it takes a tenth of a second."""
    ranges: list[str] = []
    start: int | None = None
    for code in range(sys.maxunicode + 2):
        category = unicodedata.category(chr(code)) if code <= sys.maxunicode else "L"
        if category[0] in "PSZC" and category != "Cn":
            start = code if start is None else start
        elif start is not None:
            ranges.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return re.compile(f"[{''.join(ranges)}]+")


class _Table(dict[str, int]):
    """Word → hash, computed where it is missing."""

    def __missing__(self, word: str) -> int:
        made = self[word] = xxhash.xxh3_64_intdigest(word.encode())
        return made


class WordHasher:
    """Hashes words (xxh3, 64 bits), remembering up to about `remembered` of them."""

    def __init__(self, remembered: int = 500_000) -> None:
        self._remembered = remembered
        self._table = _Table()

    def __call__(self, captions: Sequence[str]) -> tuple[Hashes, npt.NDArray[np.int64]]:
        """The hashes of all words one after another, and the number of words of each caption."""
        if len(self._table) > self._remembered:
            self._table.clear()
        split = [words(caption) for caption in captions]
        lengths = np.fromiter(map(len, split), dtype=np.int64, count=len(split))
        hash_of = self._table.__getitem__
        flat = (value for caption in split for value in map(hash_of, caption))
        return np.fromiter(flat, dtype=np.uint64, count=int(lengths.sum())), lengths


def grams(word_hashes: Hashes, lengths: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The hashes of all unigrams and bigrams, and the index of the caption that each is from.

    A unigram's is its word's; a bigram's is mixed of its two words' (`mix_two`). All unigrams come first.
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    together = owners[1:] == owners[:-1]
    bigrams = mix_two(word_hashes[:-1][together], word_hashes[1:][together])
    return np.concatenate([word_hashes, bigrams]), np.concatenate([owners, owners[1:][together]])
