"""Which keys a large part of a corpus shares: found in one pass over all shards, in memory that does not grow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_filters.mixing import Hashes
from pipelines.curate.corpus.corpus import Rows, Select


@dataclass(frozen=True)
class KeySummary:
    """Counts of the most frequent keys, each too small by `missed` at most; no other key came more than `missed` times.

    Misra and Gries 1982, merged as in Agarwal et al. 2012 (Mergeable summaries, section 2): of `size` keys at most,
    `missed` is at most the number of rows / (size + 1), in whatever order summaries are merged. `keys` ascend.
    """

    keys: Hashes
    counts: npt.NDArray[np.int64]
    missed: int = 0

    def cut(self, size: int) -> KeySummary:
        """At most `size` of the keys: all counts go down by the largest that has to go."""
        if len(self.keys) <= size:
            return self
        place = len(self.keys) - size - 1
        least = int(np.partition(self.counts, place)[place])
        stays = self.counts > least
        return KeySummary(self.keys[stays], self.counts[stays] - least, self.missed + least)

    def may_reach(self, count: int) -> Hashes:
        """The keys that may have come so many times, and among them all that did where `missed` is below `count`."""
        return self.keys[self.counts + self.missed >= count]


@dataclass(frozen=True)
class SummariseKeys:
    """A shard's rows → a summary of `size` of their keys at most."""

    select: Select
    size: int

    def __call__(self, rows: Rows) -> KeySummary:
        keys, counts = np.unique(self.select(rows)["key"].to_numpy(), return_counts=True)
        return KeySummary(keys, counts).cut(self.size)


@dataclass(frozen=True)
class MergeSummaries:
    """Two summaries → one of `size` keys at most. Counts depend on the order of merging, their bounds do not."""

    size: int

    def __call__(self, first: KeySummary, second: KeySummary) -> KeySummary:
        keys, inverse = np.unique(np.concatenate([first.keys, second.keys]), return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, inverse, np.concatenate([first.counts, second.counts]))
        return KeySummary(keys, counts, first.missed + second.missed).cut(self.size)
