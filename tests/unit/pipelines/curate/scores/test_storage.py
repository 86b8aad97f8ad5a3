"""What is stored gives a scan back, and is not taken for that of another shard, of other settings or versions."""

import os

import pyarrow.parquet as pq
import pytest
from curation import bad_of, pairs_of, scanned, store
from curation_rules import Letters
from raw_shards import CAPTION, picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.curate.scan import scan
from pipelines.curate.scored import stored_scores
from pipelines.curate.scores import storage
from pipelines.curate.scores.storage import (
    first_quarantined,
    load_facts,
    load_group,
    read_identity,
    renew_identity,
    save_facts,
    save_scores,
    stored_groups,
)
from pipelines.shards.unit import Unit

GROUPS = make_plan(CurateConfig()).groups


@pytest.fixture
def unit(tmp_path):
    """A shard with one pair and one sample that has no image."""
    write_tar(tmp_path / "raw" / "0.tar", {"a.jpg": picture(40, 30), "a.txt": "a dog", "b.txt": "no image"})
    return find_units(str(tmp_path / "raw"))[0]


def test_a_scan_is_given_back_and_is_known_to_be_stale(unit, tmp_path):
    output = str(tmp_path / "out")
    assert load_facts(unit, output) is None
    found = scanned(unit)
    store(found, output)
    assert stored_scores(unit, GROUPS, output) == (found, [])
    assert pairs_of(stored_scores(unit, GROUPS, output)[0]) == pairs_of(found)
    quarantine = pq.read_table(tmp_path / "out" / "quarantine" / "0.parquet")
    names = ["shard", "offset", "key", "stage", "reason", "exception", "count", "estimated"]
    assert quarantine.column_names == names
    shard = tmp_path / "raw" / "0.tar"
    os.utime(shard, ns=(1, 1))  # touched: the bytes are read, and they are those that were scanned
    touched = load_facts(unit, output)
    assert (touched.sha256, touched.facts) == (found.sha256, found.facts)
    renew_identity(unit, output, touched.witness)
    assert read_identity("0", output)["witness"] == touched.witness.as_json() != found.witness.as_json()
    assert load_facts(unit, output).facts == found.facts
    shard.write_bytes(shard.read_bytes().replace(b"a dog", b"a cat"))  # the same size
    assert load_facts(unit, output) is None


def test_verify_reads_the_shard_whatever_its_witness_says(unit, tmp_path):
    store(scanned(unit), str(tmp_path / "out"))
    shard = tmp_path / "raw" / "0.tar"
    times = shard.stat()
    shard.write_bytes(shard.read_bytes().replace(b"a dog", b"a cat"))
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load_facts(unit, str(tmp_path / "out")) is not None
    assert load_facts(unit, str(tmp_path / "out"), verify=True) is None


def test_each_group_has_its_folder_and_says_what_it_is_of(unit, tmp_path):
    store(scanned(unit), str(tmp_path))
    assert stored_groups(str(tmp_path)) == ["facts", "filters"]
    assert stored_groups(str(tmp_path / "absent")) == []
    facts = pq.read_table(tmp_path / "scores" / "facts" / "0.parquet")
    names = ["key", "members", "width", "height", "format", "image_bytes", "image_hash", "caption_hash"]
    assert facts.column_names == [*names, "caption_key"]
    scores = pq.read_table(tmp_path / "scores" / "filters" / "0.parquet")
    assert scores.column_names == ["shorter_side", "aspect_ratio", "words"]
    assert scores.column("words").to_pylist() == [2.0]
    assert all(b"sha256" in table.schema.metadata[b"loupe"] for table in (facts, scores))


def test_a_quarantine_of_an_earlier_scan_goes_when_all_is_readable(unit, tmp_path):
    found = scanned(unit)
    store(found, str(tmp_path))
    assert (tmp_path / "quarantine" / "0.parquet").exists()
    found.quarantine = found.quarantine.slice(0, 0)
    store(found, str(tmp_path))
    assert not (tmp_path / "quarantine" / "0.parquet").exists()
    assert bad_of(load_facts(unit, str(tmp_path))) == []


def test_a_group_of_another_version_or_other_settings_is_out_of_date(unit, tmp_path, monkeypatch):
    output, letters = str(tmp_path), Letters("g")
    found = scan(unit, [letters])
    save_facts(found, output)
    save_scores(found, [letters], output)
    assert load_group(found, letters, output).column("letters").to_pylist() == [1]
    assert load_group(found, Letters("g", version=2), output) is None
    assert load_group(found, Letters("o"), output) is None
    assert load_group(found, Letters("g", name="other"), output) is None
    found.sha256 = "00" * 32  # those of other bytes
    assert load_group(found, letters, output) is None
    monkeypatch.setattr(storage, "FACTS_VERSION", storage.FACTS_VERSION + 1)
    assert load_facts(unit, output) is None


@pytest.mark.parametrize("damage", ["gone", "cut", "zeros"])
@pytest.mark.parametrize("file", ["quarantine", "scores/facts", "scores/filters"])
def test_what_a_crash_has_damaged_is_computed_again_and_no_loss_is_forgotten(unit, tmp_path, file, damage):
    store(scanned(unit), str(tmp_path))
    path = tmp_path / file / "0.parquet"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-20] if damage == "cut" else data[:4] + bytes(len(data) - 12) + data[-8:])
    found, missing = stored_scores(unit, GROUPS, str(tmp_path))
    assert missing == list(GROUPS)
    assert (found is None) == (file != "scores/filters")
    assert isinstance(read_identity("0", str(tmp_path)), dict)


@pytest.mark.parametrize("about", [b"{not JSON", b"\xff", b"[]"])
def test_facts_whose_metadata_are_no_json_are_computed_again(unit, tmp_path, about):
    store(scanned(unit), str(tmp_path))
    path = tmp_path / "scores" / "facts" / "0.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({"loupe": about}), path)
    assert load_facts(unit, str(tmp_path)) is None
    assert read_identity("0", str(tmp_path)) == {}


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
        store(scanned(units[-1]), output)
    assert first_quarantined(units[:1], output) is None
    line = first_quarantined(units, output)
    assert line.startswith("1.tar: ")
    assert "no_caption" in line
    assert "list" in line


def test_columns_come_from_whatever_group_and_an_unknown_one_is_an_error(unit):
    found = scanned(unit)
    assert found.columns(["words", "width"]).to_pylist() == [{"words": 2.0, "width": 40}]
    assert found.columns([]).num_rows == 1
    with pytest.raises(KeyError, match="letters"):
        found.columns(["letters"])
