"""Hamming distance of pairs of 256-bit hashes, in bits of 256."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.near.mixing import Bits, mix

Places = npt.NDArray[np.int64]

BYTES = 32


def hashes_of(column: pa.FixedSizeBinaryArray | pa.ChunkedArray) -> Bits:
    """`uint64[rows, 4]` of a column fixed_size_binary(32) without nulls."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    data = column.buffers()[1]
    bits = np.frombuffer(data, dtype="<u8", count=len(column) * 4, offset=column.offset * BYTES)
    return bits.reshape(-1, 4)


def items_of(hashes: Bits) -> Bits:
    """A 64-bit hash of each 256-bit hash."""
    items = np.zeros(len(hashes), dtype=np.uint64)
    for part in range(4):
        items = mix(items ^ hashes[:, part])
    return items


class SimilarHashes:
    """Whether pairs of hashes lie within a distance, and how far apart they are."""

    def __init__(self, hashes: Bits, max_distance: int) -> None:
        self._hashes = hashes
        self._limit = max_distance

    def __call__(
        self, later: Places, earlier: Places
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """For each pair of places: whether it is near, and its distance."""
        distance = np.zeros(len(later), dtype=np.int64)
        for part in range(4):
            word = np.ascontiguousarray(self._hashes[:, part])
            distance += np.bitwise_count(word[later] ^ word[earlier])
        return distance <= self._limit, distance.astype(np.float64)
