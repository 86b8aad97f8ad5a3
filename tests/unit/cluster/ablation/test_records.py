"""Records of cells are read back; what is not there is None."""

import json

from cluster.ablation.records import read_json


def test_a_record_is_read_and_a_missing_one_is_none(tmp_path):
    assert read_json(tmp_path / "job.json") is None
    (tmp_path / "job.json").write_text(json.dumps({"row": "ü", "seed": 1}), encoding="utf-8")
    assert read_json(tmp_path / "job.json") == {"row": "ü", "seed": 1}
