"""Rows of the quarantine: what they say, and for how many samples they stand."""

import pyarrow as pa
import pytest
from raw_shards import pairs, write_tar

from data_filters.sample import BrokenSample
from pipelines.curate.quarantine import MAX_TEXT, damage_rows, quarantined, sparse_rows
from pipelines.curate.scores.storage import QUARANTINE_SCHEMA
from pipelines.shards.damage.contents import sort_out
from pipelines.shards.reader import survey
from pipelines.shards.tar_format import BrokenShard
from pipelines.shards.unit import Unit

UNIT = Unit("0", "/in/0.tar", 1)


def test_a_sample_that_cannot_be_read():
    row = quarantined(
        UNIT, 512, "caf\udce9", "no_image", BrokenSample("no_image", "no caf\udce9.jpg"), 3, "so it is"
    )
    assert list(row) == QUARANTINE_SCHEMA.names
    assert (row["shard"], row["offset"], row["stage"], row["reason"]) == ("0.tar", 512, "scan", "no_image")
    assert (row["count"], row["estimated"]) == (3, False)
    assert row["exception"].startswith("BrokenSample: ")
    assert row["exception"].endswith("; so it is")
    assert row["key"] == "caf\\udce9"
    assert "caf\\udce9.jpg" in row["exception"]
    pa.Table.from_pylist([row], QUARANTINE_SCHEMA)


def test_texts_are_cut_and_name_no_path_of_this_machine():
    assert len(quarantined(UNIT, 0, None, "x", ValueError("y" * 9999))["exception"]) == MAX_TEXT
    row = quarantined(UNIT, 0, None, "broken_shard", BrokenShard("/tmp/copy/0.tar", 7, "no end"))
    assert (row["exception"], row["key"]) == ("BrokenShard: no end at byte 7", None)


@pytest.fixture
def damaged(tmp_path):
    """A tar of 4 pairs with a damaged header of the second pair's text."""
    path = write_tar(tmp_path / "0.tar", pairs(4))
    data = bytearray(path.read_bytes())
    data[data.index(b"ok00001.txt")] ^= 1
    path.write_bytes(data)
    return Unit("0", str(path), len(data))


def test_a_damage_stands_for_the_samples_that_it_has_cost(damaged):
    contents = sort_out(survey(damaged.uri))
    (row,) = damage_rows(damaged, contents, damaged.size)
    assert (row["reason"], row["key"], row["count"]) == ("broken_shard", "ok00001", 1)
    assert (len(contents.samples), row["estimated"]) == (3, False)
    assert list(sparse_rows(damaged, contents)) == []
