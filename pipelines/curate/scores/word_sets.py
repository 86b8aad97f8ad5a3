"""The score group of near-duplicate captions: the distinct words of every caption, as hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import unidata_version

import numpy as np
import pyarrow as pa

from data_filters.duplicates import word_sets
from data_filters.facts import Facts

WORD_SET = "word_set"
"""list<uint64>, ascending: see `data_filters.duplicates.word_sets`."""


@dataclass
class WordSets:
    """The column `word_set`. The bands of a rule are computed from it, so that a threshold never changes it."""

    name: str = "word_sets"
    version: int = 1

    def schema(self) -> pa.Schema:
        """The column, see `WORD_SET`."""
        return pa.schema([(WORD_SET, pa.list_(pa.uint64()))])

    def settings(self) -> Mapping[str, object]:
        """The version of Python's Unicode tables: NFKC, case folding and what is a letter depend on it."""
        return {"unicode": unidata_version}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        """The word set of each pair's caption."""
        hashes, ends = word_sets(pair.caption for pair in pairs)
        column = pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pa.array(hashes))
        return pa.RecordBatch.from_arrays([column], schema=self.schema())
