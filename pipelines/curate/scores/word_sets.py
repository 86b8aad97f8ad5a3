"""The score group of near-duplicate captions: the distinct words of every caption, as hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_filters.duplicates import word_set
from data_filters.facts import Facts

WORD_SET = "word_set"
"""list<uint64>, ascending: see `data_filters.duplicates.word_set`."""


@dataclass
class WordSets:
    """The column `word_set`. The bands of a rule are computed from it, so that a threshold never changes it."""

    name: str = "word_sets"
    version: int = 1

    def schema(self) -> pa.Schema:
        """The column, see `WORD_SET`."""
        return pa.schema([(WORD_SET, pa.list_(pa.uint64()))])

    def settings(self) -> Mapping[str, object]:
        """Nothing changes the values."""
        return {}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        """The word set of each pair's caption."""
        sets = [word_set(pair.caption) for pair in pairs]
        ends = np.cumsum([0, *map(len, sets)]).astype(np.int32)
        flat = np.concatenate(sets) if sets else np.zeros(0, np.uint64)
        column = pa.ListArray.from_arrays(pa.array(ends), pa.array(flat))
        return pa.RecordBatch.from_arrays([column], schema=self.schema())
