"""Counts the unigrams and bigrams of the corpus, and finds the most frequent: exactly, ties by hash."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.mixing import Hashes
from data_filters.ngrams import grams
from pipelines.curate.corpus.columns import lists
from pipelines.curate.corpus.corpus import Corpus, Partitions, Rows, Shared
from pipelines.curate.corpus.dropped import dropped
from pipelines.curate.corpus.nth_smallest import Counts, added, count, count_digits, nth_smallest

COLUMN = "word_hashes"
GRAMS_AT_ONCE = 1 << 22
"""How many of the most frequent are fetched at a time, about: 64 MiB with their counts."""


@dataclass(frozen=True)
class CountInShard:
    """Counts each n-gram of a shard: every occurrence, or, with `once_per_pair`, every pair that has it."""

    once_per_pair: bool

    def __call__(self, rows: Rows) -> pa.Table:
        hashes, owners = grams(*lists(rows.table[COLUMN]))
        order = np.argsort(hashes, kind="stable")
        hashes, owners = hashes[order], owners[order]
        if self.once_per_pair:  # equal n-grams of a pair are neighbours, as the sort is stable
            repeats = (hashes[1:] == hashes[:-1]) & (owners[1:] == owners[:-1])
            hashes = hashes[np.append(True, ~repeats)[: len(hashes)]]
        return _summed(hashes, np.ones(len(hashes), dtype=np.int64))


def sum_counts(table: pa.Table) -> pa.Table:
    """Sum the counts of each n-gram: columns `key`, ascending, and `count`."""
    keys = table["key"].to_numpy()
    order = np.argsort(keys)
    return _summed(keys[order], table["count"].to_numpy()[order])


def _summed(keys: Hashes, counts: npt.NDArray[np.int64]) -> pa.Table:
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    return pa.table(
        {"key": keys[starts], "count": np.add.reduceat(counts, starts) if len(starts) else counts}
    )


def count_ngrams(corpus: Corpus, once_per_pair: bool) -> Partitions:
    """Count all n-grams of the corpus, those of earlier outputs as well."""
    return corpus.collect([COLUMN], CountInShard(once_per_pair), sum_counts)


@dataclass(frozen=True)
class Frequent:
    """The n-grams with a count above `floor`, and those of that count with a hash up to `last`."""

    floor: int
    last: int

    def __call__(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        keys, counts = table["key"].to_numpy(), table["count"].to_numpy()
        return (counts > self.floor) | ((counts == self.floor) & (keys <= np.uint64(self.last)))


def most_frequent(counted: Partitions, number: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The `number` most frequent n-grams, or all where there are fewer, and their counts, by ascending hash.

    Of equally frequent ones the smaller hashes are taken. Memory: 16 bytes for each, beside the pieces.
    """
    frequent, length = _frequent(counted, number)
    pieces = 1 if length else 0  # a corpus without a word may have no table at all
    while length > pieces * GRAMS_AT_ONCE:
        pieces *= 2
    hashes, counts = np.empty(length, dtype=np.uint64), np.empty(length, dtype=np.int64)
    filled = 0
    for piece in range(pieces):  # by ascending hash, so that each piece is sorted alone
        fetched = counted.map(_Fetch(frequent, piece, pieces))
        some = np.concatenate([part_hashes for part_hashes, _ in fetched])
        order = np.argsort(some)
        upto = filled + len(some)
        hashes[filled:upto] = some[order]
        counts[filled:upto] = np.concatenate([part_counts for _, part_counts in fetched])[order]
        filled = upto
    assert filled == length
    return hashes, counts


def _frequent(counted: Partitions, number: int) -> tuple[Frequent, int]:
    """Which n-grams are the most frequent, and how many these are."""
    values, grams_of_count = added(counted.map(_count_counts))
    at_least = np.cumsum(grams_of_count[::-1])[::-1]  # n-grams with this count or a higher one
    if not len(values) or at_least[0] <= number:
        return Frequent(0, 0), int(at_least[0]) if len(values) else 0
    place = int(np.flatnonzero(at_least >= number)[-1])
    floor, above = int(values[place]), int(at_least[place] - grams_of_count[place])
    last = nth_smallest(
        lambda prefix, digit: added(counted.map(_TiedDigits(floor, prefix, digit))),
        lambda _: number - above,
    )
    assert last is not None
    return Frequent(floor, last.key), number


def _count_counts(table: pa.Table) -> Counts:
    """How many n-grams have each count. N different counts take N²/2 occurrences: a million, half a trillion."""
    return count(table["count"].to_numpy())


@dataclass(frozen=True)
class _TiedDigits:
    """Counts a digit of the hashes of the n-grams with one count."""

    tied: int
    prefix: int
    digit: int

    def __call__(self, table: pa.Table) -> Counts:
        keys = table["key"].to_numpy()[table["count"].to_numpy() == self.tied]
        return count_digits(keys, self.prefix, self.digit)


@dataclass(frozen=True)
class _Fetch:
    """The frequent n-grams and their counts in one of `pieces` (a power of two) ranges of hashes."""

    frequent: Frequent
    piece: int
    pieces: int

    def __call__(self, table: pa.Table) -> tuple[Hashes, npt.NDArray[np.int64]]:
        edges = [(index << 64) // self.pieces for index in (self.piece, self.piece + 1)]
        keys = table["key"].to_numpy()
        start = np.searchsorted(keys, np.uint64(edges[0]))
        end = len(keys) if edges[1] == 1 << 64 else np.searchsorted(keys, np.uint64(edges[1]))
        part = table.slice(start, end - start)
        chosen = self.frequent(part)
        return part["key"].to_numpy()[chosen], part["count"].to_numpy()[chosen]


@dataclass(frozen=True)
class DropRare:
    """Drops the pairs of a shard that have an n-gram outside of `kept`, which is sorted; `value` is how many."""

    kept: Shared[Hashes]

    def __call__(self, rows: Rows) -> pa.Table:
        lengths = rows.table.num_rows
        hashes, owners = grams(*lists(rows.table[COLUMN]))
        different, inverse = np.unique(hashes, return_inverse=True)
        is_rare = places_in(self.kept.get(), different) < 0
        rare = np.bincount(owners[is_rare[inverse]], minlength=lengths)
        fails = (rare > 0) & (not rows.is_earlier)
        return dropped(rows.ranks()[fails], rare[fails])


def places_in(ordered: Hashes, wanted: Hashes) -> npt.NDArray[np.int64]:
    """The place of each hash in an ascending array, -1 where it is missing. Fast where `wanted` ascends too."""
    places = np.searchsorted(ordered, wanted)
    inside = places < len(ordered)
    found = np.zeros(len(wanted), dtype=np.bool_)
    found[inside] = ordered[places[inside]] == wanted[inside]
    return np.where(found, places, -1)
