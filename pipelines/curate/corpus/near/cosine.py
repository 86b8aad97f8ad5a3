"""Pairs of a cell by cosine: for every row the earliest one before it that is similar."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.counts import drops_with_counts
from pipelines.curate.corpus.near.buckets import BEYOND, OVERSIZED
from pipelines.curate.corpus.near.embeddings import Half, cosines, unit
from pipelines.curate.corpus.near.mixing import Bits

Places = npt.NDArray[np.int64]

_ROWS, _BLOCK = 1024, 4096  # later and earlier rows of one matrix product
_PAIRS = 4096  # pairs whose cosine is taken exactly at a time
_MARGIN = 1e-4  # more than float32 is off by in a cosine
_NONE = np.iinfo(np.int64).max


def similar_in_cells(key: Bits, rank: Places, embeddings: Half, min_similarity: float, cap: int) -> pa.Table:
    """DROPS: every row whose cosine with an earlier one of its cell is `min_similarity` or more, and the earliest such.

    Rows are compared with the `cap` earliest of their cell; the schema's metadata counts those that have more before
    them. Rows of negative rank are not dropped.
    """
    order = np.lexsort((rank, key))
    cuts = np.flatnonzero(key[order][1:] != key[order][:-1]) + 1
    counts = {OVERSIZED: 0, BEYOND: 0}
    later, earlier = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for cell in np.split(order, cuts):
        found = _first_similar(embeddings[cell], int((rank[cell] < 0).sum()), min_similarity, cap)
        hit = np.flatnonzero(found != _NONE)
        later.append(cell[hit])
        earlier.append(cell[found[hit]])
        beyond = max(len(cell) - cap - 1, 0)
        counts[OVERSIZED] += int(beyond > 0)
        counts[BEYOND] += beyond
    one, other = np.concatenate(later), np.concatenate(earlier)
    columns = [pa.array(rank[one]), pa.array(rank[other]), pa.array(_exact(embeddings, one, other))]
    return drops_with_counts(columns, counts)


def _first_similar(cell: Half, kept: int, limit: float, cap: int) -> Places:
    """For each row, in order of rank, the first before it that is similar, else _NONE; the first `kept` have none."""
    found = np.full(len(cell), _NONE)
    if len(cell) < 2:
        return found
    vectors = unit(cell)
    for first in range(kept, len(cell), _ROWS):
        rows = np.arange(first, min(first + _ROWS, len(cell)))
        for start in range(0, min(int(rows[-1]), cap), _BLOCK):
            rows = rows[found[rows] == _NONE]  # a later block cannot have an earlier row
            if not len(rows) or start >= rows[-1]:
                break
            block = np.arange(start, min(start + _BLOCK, int(rows[-1]), cap))
            cosine = vectors[rows] @ vectors[block].T
            cosine[block[None, :] >= rows[:, None]] = -2
            found[rows] = _first_hit(cell, rows, block, cosine, limit)
    return found


def _first_hit(
    cell: Half, rows: Places, block: Places, cosine: npt.NDArray[np.float32], limit: float
) -> Places:
    """For each row the first of the block that is similar, else _NONE; what float32 cannot tell is taken exactly."""
    similar = cosine >= limit + _MARGIN
    row, column = np.nonzero((cosine >= limit - _MARGIN) & ~similar)
    similar[row, column] = _exact(cell, rows[row], block[column]) >= limit
    return np.where(similar.any(axis=1), block[similar.argmax(axis=1)], _NONE)


def _exact(embeddings: Half, one: Places, other: Places) -> npt.NDArray[np.float64]:
    parts = [
        cosines(embeddings[one[at : at + _PAIRS]], embeddings[other[at : at + _PAIRS]])
        for at in range(0, len(one), _PAIRS)
    ]
    return np.concatenate([np.zeros(0), *parts])
