"""Pairs of rows that share a bucket: for every row the earliest one before it that lies near."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.counts import drops_with_counts
from pipelines.curate.corpus.near.mixing import Bits

Places = npt.NDArray[np.int64]
Near = Callable[[Places, Places], tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]]
"""Places of later and of earlier rows → whether each pair lies within the distance, and the value to report."""

BEYOND = "rows of oversized buckets that were not compared with all before them"
OVERSIZED = "oversized buckets"

_FIRST_BLOCK = (
    8  # earlier rows that every row is compared with at first; each further block is 8 times as long
)
_PAIRS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Bucketed:
    """Rows with the `key` of their bucket, their `rank`, and an `item` that is equal where the contents are."""

    key: Bits
    rank: Places
    item: Bits

    def only(self, places: Places) -> Bucketed:
        """The rows at these places."""
        return Bucketed(self.key[places], self.rank[places], self.item[places])


def shared(key: Bits) -> Places:
    """The places of rows whose key another row has too, by key."""
    order = np.argsort(key)
    ordered = key[order]
    same = np.zeros(len(key) + 1, dtype=bool)
    same[1:-1] = ordered[1:] == ordered[:-1]
    return order[same[1:] | same[:-1]]


def nearest_earlier(rows: Bucketed, near: Near, cap: int) -> pa.Table:
    """For every row of a bucket its earliest near row of the bucket, as DROPS; rows of negative rank are not dropped.

    Rows of equal contents are represented by the earliest, on whose account the others go. Representatives are
    compared with the `cap` earliest of their bucket; the schema's metadata counts those that have more before them.
    """
    order = np.lexsort((rows.rank, rows.item, rows.key))
    ordered = rows.only(order)
    first = _starts(ordered.key) | _starts(ordered.item)
    copies = np.flatnonzero(~first & (ordered.rank >= 0))
    found = [_verified(order[copies], order[_run_starts(first)[copies]], near)]
    firsts = order[first]
    firsts = firsts[np.lexsort((rows.rank[firsts], rows.key[firsts]))]
    starts = _run_starts(_starts(rows.key[firsts]))
    before = np.arange(len(firsts)) - starts
    found.extend(_near_ones(firsts, rows.rank[firsts] >= 0, starts, before, near, cap))
    beyond = before > cap
    counts = {OVERSIZED: len(np.unique(starts[beyond])), BEYOND: int(beyond.sum())}
    later, earlier, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    columns = [pa.array(rows.rank[later]), pa.array(rows.rank[earlier]), pa.array(value)]
    return drops_with_counts(columns, counts)


Found = tuple[Places, Places, npt.NDArray[np.float64]]


def _near_ones(
    firsts: Places, droppable: npt.NDArray[np.bool_], starts: Places, before: Places, near: Near, cap: int
) -> Iterator[Found]:
    """Compare block by block of earlier rows: most rows of a large bucket lie near one of its first."""
    open_rows = np.flatnonzero(droppable & (before > 0))
    low, high = 0, min(cap, _FIRST_BLOCK)
    while len(open_rows) and low < high:
        done = []
        for part in _parts(open_rows, np.minimum(before[open_rows], high) - low):
            later, offset = _expanded(part, np.minimum(before[part], high) - low)
            hit, value = near(firsts[later], firsts[starts[later] + low + offset])
            row, at = np.unique(later[hit], return_index=True)
            done.append(row)
            yield firsts[row], firsts[(starts[later] + low + offset)[hit][at]], value[hit][at]
        left = before[open_rows] > high
        left &= ~np.isin(open_rows, np.concatenate(done), assume_unique=True)
        open_rows = open_rows[left]
        low, high = high, min(cap, high * 8)


def _verified(later: Places, earlier: Places, near: Near) -> Found:
    parts = [
        near(later[at : at + _PAIRS_AT_ONCE], earlier[at : at + _PAIRS_AT_ONCE])
        for at in range(0, max(len(later), 1), _PAIRS_AT_ONCE)
    ]
    hit = np.concatenate([part[0] for part in parts])
    return later[hit], earlier[hit], np.concatenate([part[1] for part in parts])[hit]


def _parts(rows: Places, counts: Places) -> Iterator[Places]:
    """Cut rows so that a part has about _PAIRS_AT_ONCE pairs, and one row at least."""
    cuts = np.flatnonzero(np.diff(np.cumsum(counts) // _PAIRS_AT_ONCE)) + 1
    yield from np.split(rows, cuts)


def _expanded(rows: Places, counts: Places) -> tuple[Places, Places]:
    """Each row `counts` times, and 0, 1, ... beside it."""
    repeated = np.repeat(rows, counts)
    return repeated, np.arange(len(repeated)) - np.repeat(np.cumsum(counts) - counts, counts)


def _starts(values: Bits) -> npt.NDArray[np.bool_]:
    """Whether each value differs from the one before it."""
    different = np.ones(len(values), dtype=bool)
    different[1:] = values[1:] != values[:-1]
    return different


def _run_starts(first: npt.NDArray[np.bool_]) -> Places:
    """The place of the first row of each row's run."""
    return np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
