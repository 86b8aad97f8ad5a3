"""Counts beside drops: what goes in comes out, also through an Arrow stream, and sums do not know the order."""

from itertools import permutations

import pyarrow as pa

from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.counts import counts_of, drops_with_counts, summed

COLUMNS = [pa.array([1, 2]), pa.array([0, -1]), pa.array([0.5, 1.0])]


def test_counts_travel_with_a_table():
    table = drops_with_counts(COLUMNS, {"a": 3, "b": 0})
    assert table == pa.table(COLUMNS, schema=DROPS)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert counts_of(pa.ipc.open_stream(sink.getvalue()).read_all()) == {"a": 3, "b": 0}
    assert counts_of(pa.table(COLUMNS, schema=DROPS)) == {}
    assert counts_of(table.replace_schema_metadata({b"other": b"x"})) == {}


def test_sums_by_hand_in_any_order():
    for parts in permutations([{"b": 1}, {"a": 2, "b": 3}, {}]):
        assert list(summed(parts).items()) == [("a", 2), ("b", 4)]
    assert summed([]) == {}
