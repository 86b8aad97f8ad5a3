"""Which buckets have more than one row: found from the keys alone, so that only their rows are shuffled whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.corpus import Corpus, Rows, Select, Shared
from pipelines.curate.corpus.near.mixing import Bits

MOST_KEYS = 1 << 25
"""Keys (8 bytes each) that the driver may hold; with more of them every row is shuffled, to the same result."""


def repeated_keys(corpus: Corpus, columns: Sequence[str], keys: Select) -> Shared[Bits] | None:
    """The keys, ascending, that come more than once among the rows of `keys`; None where they are too many."""
    partitions = corpus.collect(columns, AtMostTwice(keys), keep_repeated)
    if sum(partitions.map(_count)) > MOST_KEYS:
        return None
    parts = partitions.map(_keys)
    return corpus.share(np.sort(np.concatenate([np.zeros(0, np.uint64), *parts])))


@dataclass(frozen=True)
class AtMostTwice:
    """A shard's keys as `keys` makes them, those that come more often twice: a key of the whole corpus stays small."""

    keys: Select

    def __call__(self, rows: Rows) -> pa.Table:
        """A table key, ascending."""
        ordered = np.sort(self.keys(rows)["key"].to_numpy())
        third = np.zeros(len(ordered), dtype=bool)
        third[2:] = ordered[2:] == ordered[:-2]
        return pa.table({"key": ordered[~third]})


def keep_repeated(table: pa.Table) -> pa.Table:
    """The keys that come more than once in a table, each once."""
    ordered = np.sort(table["key"].to_numpy())
    again = np.flatnonzero(ordered[1:] == ordered[:-1])
    return pa.table({"key": np.unique(ordered[again])})


def is_among(keys: Bits, repeated: Bits) -> npt.NDArray[np.bool_]:
    """Whether each key is one of `repeated`, which ascend."""
    if not len(repeated):
        return np.zeros(keys.shape, dtype=bool)
    places = np.minimum(np.searchsorted(repeated, keys), len(repeated) - 1)
    return repeated[places] == keys


def _count(table: pa.Table) -> int:
    return table.num_rows


def _keys(table: pa.Table) -> Bits:
    return table["key"].to_numpy()
