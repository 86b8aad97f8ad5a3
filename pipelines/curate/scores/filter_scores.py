"""The group `filters`: the scores that the active filters of `data_filters.FILTERS` compare with their limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import unidata_version

import pyarrow as pa

from data_filters import FILTERS
from data_filters.facts import Facts


@dataclass(frozen=True)
class FilterScores:
    """Computes the scores of these names, a float64 column each."""

    scores: tuple[str, ...]
    name: str = "filters"
    version: int = 1

    def schema(self) -> pa.Schema:
        """A column for each score."""
        return pa.schema([(name, pa.float64()) for name in self.scores])

    def settings(self) -> Mapping[str, object]:
        """The names, since another choice of filters may need other scores, and the version of Python's Unicode tables,
        by which letters and visible characters are told.
        """
        return {"scores": list(self.scores), "unicode": unidata_version}

    def measure(self, pairs: Sequence[Facts]) -> pa.RecordBatch:
        """Compute every score of every pair."""
        measures = {chosen.score: chosen.measure for chosen in FILTERS.values()}
        arrays = [pa.array(list(map(measures[name], pairs)), pa.float64()) for name in self.scores]
        return pa.record_batch(arrays, schema=self.schema())
