"""What a worker does with one shard; what it returns is JSON."""

import json

import pytest
from curation_rules import FewLetters
from raw_shards import pairs, picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.curate.tasks import ScanShard, WriteShard
from pipelines.shards.unit import JoinedUnit
from pipelines.shards.witness import ShardChanged

CONFIG = CurateConfig(min_side=64)
PLAN = make_plan(CONFIG)


@pytest.fixture
def units(tmp_path):
    """Two shards; the second has a pair that is too small."""
    write_tar(tmp_path / "raw" / "0.tar", pairs(2))
    write_tar(tmp_path / "raw" / "1.tar", pairs(2, "b") | {"s.jpg": picture(40, 40), "s.txt": "x"})
    return find_units(str(tmp_path / "raw"))


def scan_all(units, output: str, plan=PLAN) -> list[dict]:
    return [ScanShard(plan, output, False, None)(unit) for unit in units]


def writer(output: str, *, standing: bool = False, dry_run: bool = False, config=CONFIG) -> WriteShard:
    return WriteShard(config, make_plan(config), output, [], frozenset() if standing else None, dry_run)


def test_a_scan_says_what_would_be_kept_and_how_many_bytes(units, tmp_path):
    results = scan_all(units, str(tmp_path / "out"))
    assert json.loads(json.dumps(results)) == results
    assert [(one["funnel"]["pairs"], one["funnel"]["kept"]) for one in results] == [(2, 2), (3, 2)]
    kept = [sum(len(data) for data in pairs(2, prefix).values()) for prefix in ("ok", "b")]
    assert [one["kept_bytes"] for one in results] == kept
    assert all(len(one["sha256"]) == 64 for one in results)


def test_a_shard_without_kept_pairs_has_no_bytes(units, tmp_path):
    plan = make_plan(CurateConfig(min_side=9999))
    assert [one["kept_bytes"] for one in scan_all(units, str(tmp_path), plan)] == [0, 0]


def test_a_shard_is_written_once_and_then_only_where_other_pairs_are_kept(units, tmp_path):
    output = str(tmp_path / "out")
    scan_all(units, output)
    first = writer(output)(units[1])
    assert (first["written"], first["funnel"]["kept"]) == (True, 2)
    tar = tmp_path / "out" / "1.tar"
    before = tar.stat().st_mtime_ns
    assert set(first["seconds"]) == {"write"}
    assert writer(output, standing=True)(units[1]) == {**first, "written": False, "seconds": {}}
    assert tar.stat().st_mtime_ns == before
    fallen = WriteShard(CONFIG, PLAN, output, [], frozenset("1"), False)
    assert fallen(units[1])["written"] is True  # what does not stand is not looked at
    looser = CONFIG.model_copy(update={"min_side": 0, "min_words": 0})
    assert writer(output, standing=True, config=looser)(units[1])["funnel"]["kept"] == 3
    none = CONFIG.model_copy(update={"min_side": 9999})
    assert writer(output, standing=True, config=none)(units[1])["written"] is False
    assert not tar.exists()


def test_raw_shards_that_belong_together_make_one(units, tmp_path):
    output = str(tmp_path / "out")
    scan_all(units, output)
    result = writer(output)(JoinedUnit("0", units[0].uri, 1, tuple(units)))
    assert (result["funnel"]["pairs"], result["funnel"]["kept"]) == (5, 4)
    assert [path.name for path in (tmp_path / "out").glob("*.tar")] == ["0.tar"]
    assert sorted(path.name for path in (tmp_path / "out" / "status").iterdir()) == ["0.parquet", "1.parquet"]


def test_a_dry_run_counts_and_writes_nothing(units, tmp_path):
    output = str(tmp_path / "out")
    scan_all(units, output)
    before = sorted((tmp_path / "out").rglob("*"))
    assert writer(output, dry_run=True)(units[1])["funnel"]["kept"] == 2
    assert sorted((tmp_path / "out").rglob("*")) == before


@pytest.mark.parametrize("change", ["bytes", "group"])
def test_a_shard_that_changed_after_its_scan_is_an_error_and_no_commit(units, tmp_path, change):
    output, config = str(tmp_path / "out"), CONFIG
    scan_all(units, output)
    if change == "bytes":
        write_tar(tmp_path / "raw" / "1.tar", pairs(1))
    else:
        config = CONFIG.model_copy(update={"rules": {"e": FewLetters()}})
    with pytest.raises(ShardChanged, match=r"1\.tar was changed after it was scanned"):
        writer(output, config=config)(units[1])
    assert not (tmp_path / "out" / "manifests").exists()
