"""Facts are collected in columns, in order, whatever the batches are."""

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from data_filters.image import ImageHeader
from pipelines.curate.scores import facts as facts_module
from pipelines.curate.scores.facts import FACTS_SCHEMA, FactsColumns, members_at
from pipelines.shards.tar_format import Member

HEADER = ImageHeader(40, 30, "jpeg")


def members(key: str, count: int) -> list[Member]:
    return [Member(key, f"x{number}", 512 * number, number) for number in range(count)]


def collected(counts: list[int]) -> pa.Table:
    columns = FactsColumns()
    for number, count in enumerate(counts):
        columns.add(members(f"k{number}", count), HEADER, b"image" * number, f"Café {number}")
    return columns.table()


def test_a_pair_by_hand():
    columns = FactsColumns()
    columns.add(
        [Member("a", "jpg", 512, 5), Member("a", "txt", 1536, 9)], HEADER, b"bytes", "  CAFÉ\u3000\n x"
    )
    assert columns.table().to_pylist() == [
        {
            "key": "a",
            "members": [
                {"extension": "jpg", "offset": 512, "length": 5},
                {"extension": "txt", "offset": 1536, "length": 9},
            ],
            "width": 40,
            "height": 30,
            "format": "jpeg",
            "image_bytes": 5,
            "image_hash": xxhash.xxh3_128(b"bytes").digest(),
            "caption_hash": xxhash.xxh3_128("  CAFÉ\u3000\n x".encode()).digest(),
            "caption_key": xxhash.xxh3_128("café x".encode()).digest(),
        }
    ]


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_batches_change_nothing(monkeypatch, batch):
    counts = [2, 1, 3, 5, 1, 2]
    whole = collected(counts)
    monkeypatch.setattr(facts_module, "BATCH", batch)
    assert collected(counts).equals(whole)


def test_no_pairs_are_an_empty_table_of_the_same_columns():
    assert FactsColumns().table().schema == FACTS_SCHEMA
    assert members_at(FactsColumns().table(), np.empty(0, np.int64)) == []


def test_members_come_back_for_rows_in_any_order(monkeypatch):
    counts = [2, 1, 3, 5]
    monkeypatch.setattr(facts_module, "BATCH", 2)  # a column of two pieces
    rows = np.array([3, 0, 0, 2])
    assert members_at(collected(counts), rows) == [members(f"k{row}", counts[row]) for row in rows]
