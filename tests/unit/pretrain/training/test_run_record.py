"""RUN/config.json reads back as it was written, and as older versions wrote it."""

import json

import pytest

from data_filters.errors import InputError
from pretrain.data.order.mixture import BLOCK
from pretrain.training.run_record import RunRecord, read_run_record, write_run_record

SHARD = {"uri": "/d/0.tar", "samples": 3, "sha256": "ab", "witness": {"size": 1}}
CHANGE = {"step": 2, "shard": "0.tar", "sha256": ["aa", "ab"], "samples": [3, 3]}


def test_a_record_reads_back(tmp_path):
    record = RunRecord({"seed": 3}, (SHARD,), (48, 16), 12, (CHANGE,))
    write_run_record(tmp_path / "run", record, ["/d=3", "/e=1"], "hash")
    assert read_run_record(tmp_path / "run") == record
    document = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (document["data"], document["config_hash"]) == ("/d=3, /e=1", "hash")
    assert read_run_record(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("data", "shares"), [("/d", None), ("/d, /e", None), ("/d=3, /e=1", (BLOCK * 3 // 4, BLOCK // 4))]
)
def test_a_record_of_an_older_version_has_neither_witnesses_nor_shares(data, shares, tmp_path):
    shard = {name: value for name, value in SHARD.items() if name != "witness"}
    document = {"config": {}, "data": data, "shards": [shard], "total_steps": 4, "config_hash": "x"}
    (tmp_path / "config.json").write_text(json.dumps(document))
    record = read_run_record(tmp_path)
    assert record.shards == ({**shard, "witness": None},)
    assert record.shares == shares
    assert record.changes == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config": 3}', "\x00"])
def test_what_is_no_record_is_answered_in_one_line(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="config.json is not understood") as refused:
        read_run_record(tmp_path)
    assert "\n" not in str(refused.value)
