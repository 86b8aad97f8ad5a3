"""Balances the corpus over entries: a pair stays if a coin falls for one of its entries (MetaCLIP, algorithm 1).

An entry that n pairs have falls with probability min(1, t/n), so rare entries keep all their pairs and frequent ones
about t each, plus the pairs that their other entries keep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.balance import coins, pair_hashes
from data_filters.mixing import Hashes
from data_filters.ngrams import grams
from pipelines.curate.corpus.columns import lists
from pipelines.curate.corpus.corpus import Corpus, Rows, Shared
from pipelines.curate.corpus.dropped import dropped
from pipelines.curate.corpus.ngrams import COLUMN as WORDS
from pipelines.curate.corpus.ngrams import count_ngrams, most_frequent, places_in
from pipelines.curate.corpus.nth_smallest import Counts, add, count

LISTED = "entries"


@dataclass(frozen=True)
class Entry:
    """All entries: the hash by which each throws its coins, and the number of pairs that have it."""

    hashes: Hashes
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """Entries of pairs, one after another: the index of the pair in its shard, and the place among all entries."""

    owners: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


def balance_over_list(corpus: Corpus, hashes: Hashes, target: int, seed: int) -> None:
    """Balance over a list of entries, whose places in it are stored for every pair."""
    counted = corpus.fold([LISTED], _count_listed, add)
    counts = np.zeros(len(hashes), dtype=np.int64)
    counts[counted.values] = counted.counts
    entries = corpus.share(Entry(hashes, counts))
    corpus.choose([LISTED, "key"], DropUnlucky(entries, _listed_matches, target, seed))


def balance_over_ngrams(corpus: Corpus, number: int, target: int, seed: int) -> None:
    """Balance over the corpus's own most frequent n-grams, by the number of pairs that have them."""
    entries = corpus.share(Entry(*most_frequent(count_ngrams(corpus, once_per_pair=True), number)))
    corpus.choose([WORDS, "key"], DropUnlucky(entries, _ngram_matches, target, seed))


@dataclass(frozen=True)
class DropUnlucky:
    """Drops the pairs of a shard for none of whose entries a coin falls; `value` is the least count among these.

    A pair without an entry goes too, with the value 0.
    """

    entries: Shared[Entry]
    match: Callable[[Rows, Entry], Matches]
    target: int
    seed: int

    def __call__(self, rows: Rows) -> pa.Table:
        entries = self.entries.get()
        found = self.match(rows, entries)
        counts = entries.counts[found.places]
        pairs = pair_hashes(self.seed, rows.name, rows.table["key"].to_pylist())
        falls = coins(pairs[found.owners], entries.hashes[found.places]) < self.target / counts
        stays = np.zeros(rows.table.num_rows, dtype=np.bool_)
        stays[found.owners[falls]] = True
        fails = ~stays & (not rows.is_earlier)
        least = np.full(rows.table.num_rows, np.iinfo(np.int64).max)
        np.minimum.at(least, found.owners, counts)
        least[np.bincount(found.owners, minlength=len(least)) == 0] = 0
        return dropped(rows.ranks()[fails], least[fails])


def _count_listed(rows: Rows) -> Counts:
    places, _ = lists(rows.table[LISTED])
    return count(places.astype(np.int64))


def _listed_matches(rows: Rows, _: Entry) -> Matches:
    places, lengths = lists(rows.table[LISTED])
    return Matches(np.repeat(np.arange(len(lengths)), lengths), places.astype(np.int64))


def _ngram_matches(rows: Rows, entries: Entry) -> Matches:
    hashes, owners = grams(*lists(rows.table[WORDS]))
    different, inverse = np.unique(hashes, return_inverse=True)
    places = places_in(entries.hashes, different)[inverse]
    return Matches(owners[places >= 0], places[places >= 0])
