"""Words of a caption for comparing captions: when two captions are copies of each other but for a few words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import xxhash

_FIRST_UNSPACED = "\u0e00"
# Scripts that are written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
)
_RUN = re.compile(r"\w+")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def words(caption: str) -> list[str]:
    """The words of a caption after NFKC and case folding, in their order, repeated ones too.

    A word is a run of letters, digits and underscores, so that punctuation does not count; each sign of a script
    without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) is a word of its own.
    """
    if caption.isascii():  # NFKC leaves it as it is
        return _RUN.findall(caption.lower())
    return list(_split(_RUN.findall(unicodedata.normalize("NFKC", caption).casefold())))


def _split(runs: Iterable[str]) -> Iterator[str]:
    for run in runs:
        if run.isascii() or max(run) < _FIRST_UNSPACED:
            yield run
        else:
            yield from _WORD.findall(run)


def word_sets(captions: Iterable[str]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The distinct words of every caption as hashes (xxh3, 64 bits, of their UTF-8): (`uint64[all words]`, ends).

    Caption i has the words from `ends[i]` to `ends[i + 1]` (`int64[captions + 1]`), ascending; it may have none. Two
    words share a hash with probability 2^-64.
    """
    digests: list[bytes] = []
    ends = [0]
    for caption in captions:
        digests += [_digest(word.encode("utf-8", "surrogatepass")) for word in set(words(caption))]
        ends.append(len(digests))
    hashes = np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)
    sizes = np.diff(ends)
    return hashes[np.lexsort((hashes, np.repeat(np.arange(len(sizes)), sizes)))], np.array(ends)


_digest = xxhash.xxh3_64_digest


def word_set(caption: str) -> npt.NDArray[np.uint64]:
    """The distinct words of one caption, see `word_sets`: `uint64[words]`."""
    return word_sets([caption])[0]
