"""Words of a caption for comparing captions: when two captions are copies of each other but for a few words."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt
import xxhash

# Scripts that are written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def words(caption: str) -> list[str]:
    """The words of a caption after NFKC and case folding, in their order, repeated ones too.

    A word is a run of letters, digits and underscores, so that punctuation does not count; each sign of a script
    without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) is a word of its own.
    """
    return _WORD.findall(unicodedata.normalize("NFKC", caption).casefold())


def word_set(caption: str) -> npt.NDArray[np.uint64]:
    """The distinct words of a caption as hashes (xxh3, 64 bits, of their UTF-8), ascending; empty without a word.

    `uint64[words]`. Two words share a hash with probability 2^-64.
    """
    hashes = [xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass")) for word in set(words(caption))]
    return np.sort(np.array(hashes, dtype=np.uint64))
