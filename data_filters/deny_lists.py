"""Lists of what must not be kept: entries of a list file as sorted digests, and which digests are among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint8]
"""Shape (count, bytes of a digest)."""


@dataclass(frozen=True)
class DigestSet:
    """A set of digests of one length: `rows` in the order of `heads`, which are their first 8 bytes as numbers.

    The cost of a look-up is that of a binary search, whatever the digests are: equal heads are compared whole.
    """

    heads: npt.NDArray[np.uint64]
    rows: Digests

    def contains(self, digests: Digests) -> npt.NDArray[np.bool_]:
        """Whether each row of `digests` (count, bytes) is in the set."""
        found = np.zeros(len(digests), dtype=np.bool_)
        if not len(self.heads) or not len(digests):
            return found
        heads = _heads(digests)
        first = np.searchsorted(self.heads, heads, side="left")
        inside = first < len(self.heads)
        candidates = np.flatnonzero(inside)[self.heads[first[inside]] == heads[inside]]
        last = np.searchsorted(self.heads, heads[candidates], side="right")
        for row, start, stop in zip(
            candidates.tolist(), first[candidates].tolist(), last.tolist(), strict=True
        ):
            found[row] = bool((self.rows[start:stop] == digests[row]).all(axis=1).any())
        return found


def digest_set(data: bytes | bytearray, width: int) -> DigestSet:
    """Make a set of digests that follow each other, `width` bytes each (16 or 32), in any order, repeated or not.

    Raises ValueError when the length is no multiple of `width`.
    """
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, width)
    # Sorted whole, so that repeated ones stand together; the first 8 bytes are the most significant word.
    words = np.ascontiguousarray(rows).view(">u8").astype(np.uint64)
    order = np.lexsort(words.T[::-1])
    words, rows = words[order], rows[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (words[1:] != words[:-1]).any(axis=1)
    return DigestSet(np.ascontiguousarray(words[new, 0]), np.ascontiguousarray(rows[new]))


def as_rows(digests: Iterable[bytes], width: int) -> Digests:
    """Digests of `width` bytes each as an array (count, width)."""
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, width)


def _heads(digests: Digests) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(digests[:, :8]).view(">u8").astype(np.uint64).reshape(-1)
