"""Score columns as numpy arrays, from slices and chunks."""

from __future__ import annotations

import pyarrow as pa

from pipelines.curate.corpus.columns import halves, lists, run_starts


def test_halves_of_hashes_in_slices_and_chunks() -> None:
    digests = [bytes([index] * 8 + [100 + index] * 8) for index in range(6)]
    whole = pa.array(digests, pa.binary(16))
    column = pa.chunked_array([whole.slice(1, 2), whole.slice(0, 0), whole.slice(4)])
    first, second = halves(column)
    chosen = [1, 2, 4, 5]
    assert first.tolist() == [int.from_bytes(bytes([index] * 8)) for index in chosen]
    assert second.tolist() == [int.from_bytes(bytes([100 + index] * 8)) for index in chosen]
    assert first.flags.c_contiguous
    assert [len(half) for half in halves(pa.chunked_array([], pa.binary(16)))] == [0, 0]


def test_lists_in_slices_and_chunks() -> None:
    whole = pa.array([[9], [1, 2], [], None, [3]], pa.list_(pa.uint64()))
    values, lengths = lists(pa.chunked_array([whole.slice(1, 2), whole.slice(3)]))
    assert values.tolist() == [1, 2, 3]
    assert lengths.tolist() == [2, 0, 0, 1]
    values, lengths = lists(pa.chunked_array([], pa.list_(pa.uint64())))
    assert (len(values), len(lengths)) == (0, 0)


def test_runs_start_where_any_of_the_named_columns_differs():
    table = pa.table({"key": [1, 1, 1, 2, 2], "same_0": [5, 5, 6, 6, 6], "other": [0, 1, 2, 3, 3]})
    assert run_starts(table, "key", "same_").tolist() == [0, 2, 3]
    assert run_starts(table, "key").tolist() == [0, 3]
    assert run_starts(table.slice(0, 0), "key").tolist() == []
