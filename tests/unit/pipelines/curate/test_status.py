"""Every sample of a raw shard has one row, which leads to what was compared and to its bytes in the output."""

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curation import curate_one, scanned, scores_of
from curation_rules import SameCaption
from raw_shards import CAPTION, pairs, picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.decide import decide
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.curate.status import STATUS_SCHEMA, write_decisions, write_status
from pipelines.shards.reader import walk

CONFIG = CurateConfig(min_side=64)


@pytest.fixture
def curated(tmp_path):
    """A shard with every outcome, curated; the path of its output."""
    members = pairs(2) | {"small.jpg": picture(50, 60), "small.txt": "x", "sub.d/fine.jpg": picture()}
    members |= {"sub.d/fine.txt": CAPTION, "bad.jpg": b"<svg/>", "bad.txt": CAPTION, "alone.txt": CAPTION}
    write_tar(tmp_path / "raw" / "0.tar", members)
    curate_one(find_units(str(tmp_path / "raw"))[0], str(tmp_path / "out"), CONFIG)
    return tmp_path / "out"


def rows(output) -> dict[str, dict]:
    table = pq.read_table(output / "status" / "0.parquet")
    assert table.schema.equals(STATUS_SCHEMA)
    listed = table.to_pylist()
    assert [row["offset"] for row in listed] == sorted(row["offset"] for row in listed)
    found = {row["key"]: row for row in listed}
    assert len(found) == len(listed)
    return found


def test_every_sample_has_one_row_at_its_place_in_the_raw_shard(curated):
    found = rows(curated)
    raw: dict[str, int] = {}
    for member in walk(curated.parent / "raw" / "0.tar"):
        raw.setdefault(member.key, member.offset)
    assert {key: row["offset"] for key, row in found.items()} == raw
    outcomes = {key: row["outcome"] for key, row in found.items()}
    kept = dict.fromkeys(["ok00000", "ok00001", "sub.d/fine"], "kept")
    assert outcomes == {**kept, "small": "rejected", "bad": "quarantined", "alone": "quarantined"}


def test_reason_value_and_limit_are_said(curated):
    found = rows(curated)
    said = [found["small"][name] for name in ("fails", "rule", "value", "limit", "tar")]
    assert said == [["small_image", "few_words"], "small_image", "50", "64", None]
    assert found["bad"]["rule"] == "unknown_image_format"
    assert found["bad"]["value"].startswith("BrokenSample: ")
    assert (found["alone"]["rule"], found["alone"]["limit"]) == ("no_image", None)
    kept = found["ok00000"]
    assert [kept[name] for name in ("fails", "rule", "value", "limit", "other_shard")] == [[], *[None] * 4]


def test_the_place_of_a_kept_pair_leads_to_its_bytes(curated):
    data = (curated / "0.tar").read_bytes()
    kept = [row for row in rows(curated).values() if row["outcome"] == "kept"]
    for row in kept:
        assert row["tar"] == "0.tar"
        with tarfile.open(fileobj=io.BytesIO(data[row["tar_offset"] - 512 :])) as tar:
            first = tar.next()
            assert first.name.startswith(row["tar_key"] + ".")
            assert row["tar_key"] == row["key"]


def test_decisions_are_bits_in_the_order_of_the_steps(curated):
    table = pq.read_table(curated / "decisions" / "0.parquet")
    about = json.loads(table.schema.metadata[b"loupe"])
    assert about["steps"] == ["small_image", "extreme_aspect", "few_words", "many_words"]
    assert table.to_pydict() == {"bits": [0, 0, 0b101, 0], "first": [-1, -1, 0, -1]}


def test_a_row_of_the_quarantine_that_stands_for_no_sample_is_not_listed(tmp_path):
    lost = {"shard": "0.tar", "offset": 9, "key": "b", "reason": "no_image", "exception": "E"}
    scores = scores_of([], [lost, {**lost, "key": None, "reason": "broken_shard", "count": 0}])
    write_status(scores, decide(scores, make_plan(CONFIG)), make_plan(CONFIG), str(tmp_path), {}, {})
    assert [row["rule"] for row in rows(tmp_path).values()] == ["no_image"]


def test_a_duplicate_names_the_pair_on_whose_account_it_goes(tmp_path):
    write_tar(tmp_path / "raw" / "0.tar", pairs(4))
    plan = make_plan(CONFIG.model_copy(update={"rules": {"same": SameCaption()}}))
    scores, base = scanned(find_units(str(tmp_path / "raw"))[0], CONFIG), 7 << 32
    earlier = (3 << 32 | 5) - (1 << 62)  # of shard 3 of an earlier output
    drops = pa.table(
        [[base + 1, base + 2, base + 3], [2 << 32 | 9, -1, earlier], [0.5, 1.0, 2.0]], schema=DROPS
    )
    decision = decide(scores, plan, {4: drops})
    write_decisions(scores, decision, plan, str(tmp_path))
    write_status(scores, decision, plan, str(tmp_path), {}, {2: "two", (earlier >> 32): "before/three"})
    found = [
        (row["rule"], row["value"], row["limit"], row["other_shard"], row["other_row"])
        for row in rows(tmp_path).values()
    ]
    assert found == [
        (None, None, None, None, None),
        ("same", "0.5", "1 pair", "two", 9),
        ("same", "1", "1 pair", None, None),
        ("same", "2", "1 pair", "before/three", 5),
    ]
