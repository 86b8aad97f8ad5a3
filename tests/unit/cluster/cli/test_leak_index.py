"""`loupe leak-index` writes what `build_index` writes, and refuses in one line."""

import json

import pytest
from raw_shards import picture, write_tar

from pipelines.leaks.index import LeakIndex


@pytest.fixture
def shard(tmp_path) -> str:
    return str(write_tar(tmp_path / "in" / "0.tar", {"a.jpg": picture(), "a.txt": "words", "b.jpg": b"x"}))


def test_inputs_of_every_kind_reach_the_index(loupe, tmp_path, shard):
    out = tmp_path / "new" / "leaks.parquet"
    code, text, _ = loupe("leak-index", "--input", shard, "--output", str(out), "--workers", "1", "--json")
    assert code == 0
    said = json.loads(text)
    assert said["pictures"] == 2
    assert said["undecodable"] == 1
    assert LeakIndex.load(out).sha256 == (said["sha256"],)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "c.jpg").write_bytes(picture(seed=3))
    inputs = ("--input", str(out), "--input", str(tmp_path / "more"))
    code, text, _ = loupe("leak-index", *inputs, "--output", str(tmp_path / "both"))
    assert code == 0
    assert "undecodable" in text
    assert len(LeakIndex.load(tmp_path / "both")) == 3


def test_mistakes_end_with_one_line_and_2(loupe, tmp_path, shard):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    for words in (
        ("--input", str(tmp_path / "nothing"), "--output", str(tmp_path / "x")),
        ("--input", str(tmp_path / "x.parquet"), "--output", str(tmp_path / "x")),
        ("--input", shard, "--output", str(tmp_path)),
        ("--input", shard, "--output", "nosuch://x"),
        ("--output", str(tmp_path / "x")),
    ):
        code, _, error = loupe("leak-index", *words)
        assert code == 2
        assert error.startswith("loupe: ")
        assert error.count("\n") == 1
