"""Which commits stand at a restart; the whole behaviour is tested in tests/cases/curation/test_mended_shards.py."""

import pytest
from curation import curate_one
from raw_shards import pairs, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.standing import drop, drop_raw_shard, take_stock
from pipelines.shards import witness
from pipelines.shards.manifest import read_manifests

CONFIG = CurateConfig(min_side=64)


@pytest.fixture
def finished(tmp_path):
    """Two units, committed."""
    for name in "01":
        write_tar(tmp_path / "in" / f"{name}.tar", pairs(1, prefix=name))
    units, output = find_units(str(tmp_path / "in")), str(tmp_path / "out")
    for unit in units:
        curate_one(unit, output, CONFIG)
    return units, output


def test_all_stand_and_no_byte_is_read(finished, monkeypatch):
    units, output = finished
    monkeypatch.setattr(witness.hashlib, "file_digest", lambda *_: pytest.fail("a shard was read"))
    found = take_stock(units, read_manifests(output), output)
    assert (sorted(found.committed), found.changed, found.damaged, found.withdrawn) == (
        ["0", "1"],
        [],
        [],
        [],
    )


def test_without_the_scan_the_manifest_is_what_counts(finished, tmp_path):
    units, output = finished
    (tmp_path / "out" / "scores" / "facts" / "0.parquet").unlink()
    assert sorted(take_stock(units, read_manifests(output), output).committed) == ["0", "1"]


def test_withdrawn_is_what_the_input_has_no_more_and_drop_leaves_nothing_of_it(finished, tmp_path):
    units, output = finished
    manifests = read_manifests(output)
    assert take_stock(units[:1], manifests, output).withdrawn == ["1"]
    drop("1", manifests["1"], output)
    drop_raw_shard("1", output)
    assert not list((tmp_path / "out").rglob("1.*"))
    assert (
        len(list((tmp_path / "out").rglob("0.*"))) == 7
    )  # tar, index, two groups, decisions, status, manifest


def test_a_manifest_of_an_older_version_without_the_size_stands(finished, tmp_path):
    units, output = finished
    manifests = read_manifests(output)
    del manifests["0"]["outputs"][0]["size"]
    assert take_stock(units, manifests, output).damaged == []
    (tmp_path / "out" / "0.tar").unlink()
    assert take_stock(units, manifests, output).damaged == ["0"]
