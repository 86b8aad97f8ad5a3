"""The table of pairs to drop."""

from __future__ import annotations

import numpy as np

from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.dropped import dropped


def test_a_table_has_the_schema_of_drops() -> None:
    ranks = np.array([3, 2**40], dtype=np.int64)
    alone = dropped(ranks, np.array([2, 5]))
    together = dropped(ranks, np.array([0.5, np.nan]), np.array([0, -5]))
    for table in (alone, together, dropped(ranks[:0], ranks[:0])):
        assert table.schema.equals(DROPS)
    assert alone.to_pydict() == {"rank": [3, 2**40], "other": [-1, -1], "value": [2.0, 5.0]}
    assert together["other"].to_pylist() == [0, -5]
