"""Captions in buckets: what a shard contributes, and what is found among the rows of a bucket."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from pipelines.curate.corpus.corpus import Rows, Shared
from pipelines.curate.corpus.near.band_rows import band_rows
from pipelines.curate.corpus.near.buckets import Bucketed, nearest_earlier, shared
from pipelines.curate.corpus.near.jaccard import SimilarSets, WordSets
from pipelines.curate.corpus.near.minhash_bands import MinHashBands
from pipelines.curate.corpus.near.mixing import Bits
from pipelines.curate.corpus.near.repeated_keys import is_among
from pipelines.curate.scores.word_sets import WORD_SET

ROW_BYTES = 128
"""Of a caption of 14 words on its way to a bucket: key, rank, a hash of each word."""


def sets_of(table: pa.Table) -> WordSets:
    """The sets of a table's column `word_set`."""
    column = table[WORD_SET].combine_chunks().cast(pa.large_list(pa.uint64()))
    ends = column.offsets.to_numpy()
    return WordSets(column.values.to_numpy()[ends[0] : ends[-1]], ends - ends[0])


@dataclass(frozen=True)
class GroupsOfCaptions:
    """A shard's captions that have a word → their groups of equal word sets."""

    def __call__(self, rows: Rows) -> pa.Table:
        """A table key (of the set), rank."""
        judged = sets_of(rows.table).sizes() > 0
        sets = sets_of(rows.table.filter(pa.array(judged)))
        return pa.table({"key": sets.items(), "rank": rows.ranks()[judged]})


def _band_rows(rows: Rows, bands: MinHashBands, min_similarity: float) -> pa.Table:
    """A table key, rank, word_set of the captions that have a word."""
    contents = pa.table({"rank": rows.ranks(), WORD_SET: rows.table[WORD_SET]})
    contents = contents.filter(pa.array(sets_of(contents).sizes() > 0)).combine_chunks()
    contents = contents.cast(pa.schema([("rank", pa.int64()), (WORD_SET, pa.large_list(pa.uint64()))]))
    sets = sets_of(contents)
    sizes = sets.sizes()
    # The set that is most like another has one word less or more: n words are n / (n + 1) alike at most.
    alone = sizes / (sizes + 1) < min_similarity
    return band_rows(contents, bands.keys(sets.words, sets.ends), sets.items(), alone)


@dataclass(frozen=True)
class KeysOfCaptions:
    """A shard's captions → the keys of their bands."""

    bands: MinHashBands
    min_similarity: float

    def __call__(self, rows: Rows) -> pa.Table:
        """A table key."""
        return _band_rows(rows, self.bands, self.min_similarity).select(["key"])


@dataclass(frozen=True)
class BandsOfCaptions:
    """A shard's captions → a row for each band, with rank and word set; of the `repeated` keys alone, if given."""

    bands: MinHashBands
    min_similarity: float
    repeated: Shared[Bits] | None = None

    def __call__(self, rows: Rows) -> pa.Table:
        """A table key, rank, word_set."""
        table = _band_rows(rows, self.bands, self.min_similarity)
        if self.repeated is None:
            return table
        return table.filter(pa.array(is_among(table["key"].to_numpy(), self.repeated.get())))


@dataclass(frozen=True)
class NearestCaptions:
    """All rows of some bands → DROPS, with counts of oversized buckets in the metadata."""

    min_similarity: float
    cap: int

    def __call__(self, table: pa.Table) -> pa.Table:
        """The later pairs, each with its earliest near one of a bucket and their similarity."""
        table = table.take(pa.array(shared(table["key"].to_numpy()))).combine_chunks()
        sets = sets_of(table)
        rows = Bucketed(table["key"].to_numpy(), table["rank"].to_numpy(), sets.items())
        return nearest_earlier(rows, SimilarSets(sets, self.min_similarity), self.cap)
