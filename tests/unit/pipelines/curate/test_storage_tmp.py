"""The sidecar gives a scan back, and is not taken for that of another shard or of other filters."""

import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from raw_shards import CAPTION, picture, write_tar

from data_filters import FILTERS
from data_filters.filter import Filter, Limit
from pipelines.curate.inputs import find_units
from pipelines.curate.scan import scan
from pipelines.curate.sidecar import first_quarantined, load_scan, read_identity, save_scan, scan_schema
from pipelines.shards.unit import Unit
from pipelines.shards.writer import write_shard


@pytest.fixture
def unit(tmp_path):
    """A shard with one pair and one sample that has no image."""
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "JPEG")
    samples = [("a", {"jpg": out.getvalue(), "txt": b"a dog"}), ("b", {"txt": b"no image"})]
    write_shard(tmp_path / "raw" / "0.tar", samples)
    return find_units(str(tmp_path / "raw"))[0]


def test_the_sidecar_gives_the_scan_back_and_knows_when_it_is_stale(unit, tmp_path):
    output = str(tmp_path / "out")
    assert load_scan(unit, output) is None
    found = scan(unit)
    save_scan(found, output)
    assert load_scan(unit, output) == found
    quarantine = pq.read_table(tmp_path / "out" / "quarantine" / "0.parquet")
    assert quarantine.column_names == [
        "shard",
        "offset",
        "key",
        "stage",
        "reason",
        "exception",
        "count",
        "estimated",
    ]
    shard = tmp_path / "raw" / "0.tar"
    os.utime(shard, ns=(1, 1))  # touched: the bytes are read, and they are those that were scanned
    touched = load_scan(unit, output)
    assert (touched.sha256, touched.pairs) == (found.sha256, found.pairs)
    assert read_identity("0", output)["witness"] == touched.witness.as_json() != found.witness.as_json()
    shard.write_bytes(shard.read_bytes().replace(b"a dog", b"a cat"))  # the same size
    assert load_scan(unit, output) is None


def test_the_columns_are_facts_then_scores(unit, tmp_path):
    save_scan(scan(unit), str(tmp_path))
    table = pq.read_table(tmp_path / "scan" / "0.parquet")
    facts = ["key", "members", "width", "height", "format", "image_hash", "caption_hash"]
    assert table.column_names == [*facts, "shorter_side", "aspect_ratio", "words"] == scan_schema().names
    assert table.column("words").to_pylist() == [2.0]
    assert b"sha256" in table.schema.metadata[b"loupe"]


def test_a_quarantine_of_an_earlier_scan_goes_when_all_is_readable(unit, tmp_path):
    found = scan(unit)
    save_scan(found, str(tmp_path))
    assert (tmp_path / "quarantine" / "0.parquet").exists()
    found.quarantine.clear()
    save_scan(found, str(tmp_path))
    assert not (tmp_path / "quarantine" / "0.parquet").exists()
    assert load_scan(unit, str(tmp_path)).quarantine == []


def test_a_scan_without_a_score_that_was_added_since_is_stale(unit, tmp_path, monkeypatch):
    save_scan(scan(unit), str(tmp_path))
    letters = Filter(
        "letters", lambda facts: float(len(facts.caption)), at_least=Limit("min_letters", 1, "", "")
    )
    monkeypatch.setitem(FILTERS, "few_letters", letters)
    assert load_scan(unit, str(tmp_path)) is None
    save_scan(scan(unit), str(tmp_path))
    assert [row["letters"] for row in load_scan(unit, str(tmp_path)).pairs] == [5.0]
    assert scan_schema().field("letters").type == pa.float64()


@pytest.mark.parametrize("damage", ["gone", "cut", "zeros"])
@pytest.mark.parametrize("file", ["quarantine", "scan"])
def test_what_a_crash_has_damaged_is_scanned_again_and_no_loss_is_forgotten(unit, tmp_path, file, damage):
    save_scan(scan(unit), str(tmp_path))
    path = tmp_path / file / "0.parquet"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-20] if damage == "cut" else data[:4] + bytes(len(data) - 12) + data[-8:])
    assert load_scan(unit, str(tmp_path)) is None
    assert isinstance(read_identity("0", str(tmp_path)), dict)


def test_the_first_lost_sample_is_named_with_its_reason(tmp_path):
    shards = {
        "0": {"a.jpg": picture(), "a.txt": CAPTION},
        "1": {"a.jpg": picture(), "a.json": '{"caption": ["a dog"]}'},
    }
    output = str(tmp_path / "out")
    units = []
    for name, members in shards.items():
        path = write_tar(tmp_path / "raw" / f"{name}.tar", members)
        units.append(Unit(name, str(path), path.stat().st_size))
        save_scan(scan(units[-1]), output)
    assert first_quarantined(units[:1], output) is None
    line = first_quarantined(units, output)
    assert line.startswith("1.tar: ")
    assert "no_caption" in line
    assert "list" in line
