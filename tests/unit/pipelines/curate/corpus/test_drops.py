"""The one order of a rule's drops."""

import math
import random

import pyarrow as pa

from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.drops import first_drops, of_shard, places


def drops(*rows: tuple[int, int, float]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(DROPS.names, row, strict=True)) for row in rows], DROPS)


def test_each_rank_is_dropped_once_on_account_of_the_smallest_other():
    found = first_drops([drops((9, 4, 1.0), (3, 2, 5.0)), drops((9, -7, 2.0), (9, -7, 0.5), (3, 2, 6.0))])
    assert found == drops((3, 2, 5.0), (9, -7, 0.5))


def test_pairs_of_earlier_outputs_are_left_out():
    assert first_drops([drops((-5, -9, 1.0), (0, -5, 1.0))]) == drops((0, -5, 1.0))


def test_no_order_of_tables_and_rows_matters():
    rows = [(rank, other, value) for rank in range(6) for other in (-1, 3, 2) for value in (0.5, 0.25)]
    expected = drops(*[(rank, -1, 0.25) for rank in range(6)])
    for seed in range(10):
        random.Random(seed).shuffle(rows)
        assert first_drops([drops(*rows[:7]), drops(), drops(*rows[7:])]) == expected


def test_a_value_that_is_nan_stays():
    assert math.isnan(first_drops([drops((1, -1, math.nan))]).column("value")[0].as_py())


def test_nothing_dropped_is_an_empty_table():
    assert first_drops([]) == DROPS.empty_table()
    assert first_drops([DROPS.empty_table()]) == DROPS.empty_table()


def test_drops_of_one_shard_and_their_places():
    table = drops((5, -1, 0.0), (2**32, -1, 0.0), (2**32 + 8, -1, 0.0), (3 * 2**32, -1, 0.0))
    assert [places(of_shard(table, shard)).tolist() for shard in range(5)] == [[5], [0, 8], [], [0], []]
