import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.near.band_rows import band_rows


def test_copies_and_lone_rows_are_in_the_first_band_only() -> None:
    contents = pa.table({"rank": [10, 11, 12, 13]})
    keys = np.arange(12, dtype=np.uint64).reshape(4, 3)
    items = np.array([5, 6, 5, 7], dtype=np.uint64)
    alone = np.array([False, False, False, True])
    rows = band_rows(contents, keys, items, alone)
    found = sorted(zip(rows["key"].to_pylist(), rows["rank"].to_pylist(), strict=True))
    assert found == [(0, 10), (1, 10), (2, 10), (3, 11), (4, 11), (5, 11), (6, 12), (9, 13)]


def test_a_shard_without_rows_gives_none() -> None:
    contents = pa.table({"rank": pa.array([], pa.int64())})
    rows = band_rows(contents, np.zeros((0, 4), np.uint64), np.zeros(0, np.uint64))
    assert rows.num_rows == 0
    assert rows.schema.field("key").type == pa.uint64()
