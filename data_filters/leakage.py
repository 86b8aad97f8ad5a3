"""Finds, among many perceptual hashes of 256 bits, the nearest one within 31 bits: exact multi-index hashing in numpy.

A hash is cut into 16 words of 16 bits. Of two hashes that differ in at most 31 bits some word differs in at most one
(16 words with two differences each would be 32), so that 16 x 17 look-ups find every hash within reach; all that they
find are compared. Source: Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing" (2012),
section 3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

REACH = 31
"""Bits: the largest distance that is found."""
FAR = REACH + 1
"""The distance that is returned where nothing lies within reach."""
NOBODY = -1

_BYTES, _WORDS, _WORD_BITS = 32, 16, 16
_ROWS_AT_ONCE = 1 << 16  # hashes whose single bits are held at a time, 256 bytes each
_BATCH = 64  # queries that are compared at a time, which bounds the memory
_FLIPS = np.concatenate([[0], 1 << np.arange(_WORD_BITS)]).astype(np.uint16)

Hashes = npt.NDArray[np.uint8]


class NearHashes:
    """Hashes [m, 32] that are searched; `owners` [m] says whose each is; of equal hashes the smallest counts."""

    def __init__(self, hashes: Hashes, owners: npt.NDArray[np.int32]) -> None:
        order = np.argsort(owners, kind="stable")
        first = np.unique(np.ascontiguousarray(hashes[order]).view("V32").ravel(), return_index=True)[1]
        self._owners = owners[order][first].astype(np.int32)
        distinct = hashes[order][first]
        self._columns, words = _columns(distinct), _words(distinct)
        self._order = [np.argsort(word, kind="stable").astype(np.int32) for word in words]
        self._starts = [
            np.concatenate([[0], np.cumsum(np.bincount(word, minlength=1 << _WORD_BITS))]) for word in words
        ]

    def __len__(self) -> int:
        return len(self._owners)

    def nearest(self, hashes: Hashes) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
        """The distance in bits and the owner of the nearest hash of each of [n, 32]; FAR and NOBODY where none is near.

        Of owners at equal distance it is the smallest.
        """
        distances = np.full(len(hashes), FAR, np.int16)
        owners = np.full(len(hashes), NOBODY, np.int32)
        for start in range(0, len(hashes) if len(self) else 0, _BATCH):
            query, found, distance = self._within_reach(hashes[start : start + _BATCH])
            owner = self._owners[found]
            order = np.lexsort((owner, distance, query))
            first = np.unique(query[order], return_index=True)
            best = order[first[1]]
            distances[start + first[0]], owners[start + first[0]] = distance[best], owner[best]
        return distances, owners

    def _within_reach(
        self, hashes: Hashes
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int16]]:
        """(query, hash found, distance) of all that lie within reach; the same one may come several times."""
        columns, parts = _columns(hashes), []
        for word, order, starts in zip(_words(hashes), self._order, self._starts, strict=True):
            buckets = (word[:, None] ^ _FLIPS).ravel().astype(np.int64)
            first = starts.take(buckets)
            counts = starts.take(buckets + 1) - first
            ends = np.cumsum(counts)
            place = np.arange(ends[-1]) + np.repeat(first - (ends - counts), counts)
            found = order.take(place)
            distance = np.zeros(len(found), np.uint8)
            for mine, theirs in zip(self._columns[:2], columns[:2], strict=True):
                asked = np.repeat(np.repeat(theirs, len(_FLIPS)), counts)
                distance += np.bitwise_count(mine.take(found) ^ asked)
            near = np.flatnonzero(distance <= REACH)  # half of the bits rule out nearly all
            query, found = np.searchsorted(ends, near, side="right") // len(_FLIPS), found[near]
            rest = [
                np.bitwise_count(mine[found] ^ theirs[query])
                for mine, theirs in zip(self._columns[2:], columns[2:], strict=True)
            ]
            total = distance[near].astype(np.int16) + rest[0] + rest[1]
            within = total <= REACH
            parts.append((query[within], found[within], total[within]))
        query, found, total = (np.concatenate(part) for part in zip(*parts, strict=True))
        return query, found, total


def _columns(hashes: Hashes) -> list[npt.NDArray[np.uint64]]:
    """[n, 32] bytes as four arrays of n numbers."""
    return [np.ascontiguousarray(column) for column in _numbers(hashes).T]


def _numbers(hashes: Hashes) -> npt.NDArray[np.uint64]:
    """[n, 32] bytes as [n, 4] numbers."""
    return np.ascontiguousarray(hashes).view(np.uint64).reshape(-1, 4)


def _words(hashes: Hashes) -> npt.NDArray[np.uint16]:
    """[n, 32] bytes as [16, n] words of 16 bits.

    PDQ's neighbouring bits are neighbouring frequencies and depend on each other: a word takes one of each row and each
    column of the 16 x 16, so that few words are frequent.
    """
    words = np.empty((_WORDS, len(hashes)), np.uint16)
    for start in range(0, len(hashes), _ROWS_AT_ONCE):
        part = hashes[start : start + _ROWS_AT_ONCE]
        packed = np.packbits(np.unpackbits(part, axis=1).take(_BITS_OF_WORDS, axis=1), axis=1)
        words[:, start : start + len(part)] = packed.view(">u2").T
    return words


def _bits_of_words() -> npt.NDArray[np.intp]:
    """The place in a hash of every bit of the 16 words, one after another: `[256]`."""
    word, row = np.divmod(np.arange(_WORDS * _WORD_BITS), _WORD_BITS)
    return row * _WORD_BITS + (word + row) % _WORD_BITS


_BITS_OF_WORDS = _bits_of_words()
