"""The order of scores as integers against comparisons of floats. The rule's own test has the sort."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pyarrow as pa
from small_corpus import SmallCorpus

from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.top_fraction import descending_keys, keep_highest, scores_of

EDGES = [0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 1e308, -1e308, math.inf, -math.inf, 0.1, np.nextafter(0.1, 1)]


def test_keys_are_in_the_opposite_order_of_scores() -> None:
    keys = dict(zip(range(len(EDGES)), descending_keys(np.array(EDGES)).tolist(), strict=True))
    for first, second in product(keys, keys):
        assert (keys[first] < keys[second]) == (EDGES[first] > EDGES[second])
        assert (keys[first] == keys[second]) == (EDGES[first] == EDGES[second])


def test_every_nan_is_last_and_equal_to_every_other() -> None:
    quiet_and_signed = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], np.uint64).view(
        float
    )
    keys = descending_keys(np.concatenate([quiet_and_signed, [-math.inf]])).tolist()
    assert keys[:3] == [2**64 - 1] * 3
    assert keys[3] < 2**64 - 1


def test_scores_of_any_number_type() -> None:
    table = pa.table({"a": pa.array([1, None], pa.int32()), "b": pa.array([0.5, None], pa.float32())})
    assert [value if value == value else None for value in scores_of(table, "a").tolist()] == [1.0, None]
    assert [value if value == value else None for value in scores_of(table, "b").tolist()] == [0.5, None]


class LateShards(SmallCorpus):
    """Its shards have numbers 0, 70,001, 140,002, ..."""

    def population(self, columns: Sequence[str] | None = None) -> list[Rows]:
        return [replace(rows, shard=rows.shard * 70_001) for rows in super().population(columns)]


def test_shard_numbers_and_rows_above_16_bits_rank_in_order() -> None:
    names = ["a", "b", "c"]
    corpus = LateShards(
        {name: pa.table({"x": [1.0, 1.0, 1.0]}) for name in names},
        rows={name: [0, 65_536, 131_073] for name in names},
        seed=0,
    )
    keep_highest(corpus, "x", lambda number: number - 4)
    dropped = [(1, 131_073), (2, 0), (2, 65_536), (2, 131_073)]
    assert corpus.drops == {(shard * 70_001 << 32) + row: (-1, 1.0) for shard, row in dropped}
