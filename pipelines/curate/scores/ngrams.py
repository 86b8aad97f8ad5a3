"""The group `ngrams`: hashes of the words of each caption, of which rules make unigrams and bigrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import pyarrow as pa

from data_filters.facts import Facts
from data_filters.ngrams import UNICODE_VERSION, WordHasher

COLUMN = "word_hashes"


class Ngrams:
    """A list of 64-bit hashes per caption, one per word in order (`data_filters.ngrams`).

    Bigrams are not stored: they are hashes of two neighbouring ones, and would take as much room again.
    """

    name = "ngrams"
    version = 1

    def schema(self) -> pa.Schema:
        return pa.schema([(COLUMN, pa.list_(pa.uint64()))])

    def settings(self) -> Mapping[str, object]:
        return {"unicode": UNICODE_VERSION}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        hashes, lengths = _hasher()([pair.caption for pair in pairs])
        offsets = pa.array([0, *lengths.cumsum().tolist()], type=pa.int32())
        column = pa.ListArray.from_arrays(offsets, pa.array(hashes))
        return pa.RecordBatch.from_arrays([column], schema=self.schema())


@cache
def _hasher() -> WordHasher:
    """The worker's own, so that words of one shard are known for the next."""
    return WordHasher()
