"""Rows of a shard that stand, and a source of tables in memory."""

import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.source import TablesInMemory, standing_rows

TABLES = {
    "b": pa.table({"width": [10, 11, 12, 13], "key": list("pqrs")}),
    "a": pa.table({"width": [7], "key": ["t"]}),
}
NOTHING = np.empty(0, np.int64)


def test_shards_are_numbered_in_the_order_of_their_names():
    source = TablesInMemory(TABLES)
    assert [source.name(shard) for shard in range(source.count)] == ["a", "b"]
    assert [source.rows(shard) for shard in range(source.count)] == [1, 4]
    assert source.load(1, ["key"]).to_pydict() == {"key": list("pqrs")}


def test_rows_stand_that_pass_and_were_not_dropped():
    source = TablesInMemory(TABLES, {"a": np.array([True]), "b": np.array([True, False, True, True])})
    rows = standing_rows(source, 1, ["width"], np.array([3]))
    assert (rows.shard, rows.name, rows.is_earlier) == (1, "b", False)
    assert rows.rows.tolist() == [0, 2]
    assert rows.table.to_pydict() == {"width": [10, 12]}
    assert rows.ranks().tolist() == [2**32, 2**32 + 2]
    assert source.passing(1).tolist() == [True, False, True, True]  # the source's own mask is left alone


def test_a_shard_of_which_none_stands_has_an_empty_table_of_its_types():
    rows = standing_rows(TablesInMemory(TABLES), 0, ["width", "key"], np.array([0]))
    assert rows.table.num_rows == 0
    assert rows.table.schema == TABLES["a"].schema


def test_rows_of_an_earlier_output_rank_before_all_others():
    rows = standing_rows(TablesInMemory(TABLES), 1, ["key"], NOTHING, is_earlier=True)
    assert rows.is_earlier
    assert rows.ranks().tolist() == [2**32 - 2**62 + place for place in range(4)]
