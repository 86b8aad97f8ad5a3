"""What is said of a shard without a pair."""

import pytest
from raw_shards import write_tar

from pipelines.curate.first_pair import missing_pair
from pipelines.shards.unit import Unit


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.jpg", "a.txt"], None),
        (["a.jpg", "b.jpg", "a.JSON"], None),
        (["s.input.jpg", "s.output.txt"], "0.tar begins with s.input.jpg, s.output.txt"),
        (
            ["a.jpg", "a.jpg.txt", "a.caption", "a.b", "a.c"],
            "0.tar begins with a.jpg, a.jpg.txt, a.caption, a.b, ...",
        ),
        ([], "0.tar: empty"),
    ],
)
def test_what_is_there_is_said(tmp_path, names, said):
    path = write_tar(tmp_path / "0.tar", dict.fromkeys(names, b"x"))
    assert missing_pair(Unit("0", str(path), path.stat().st_size)) == said


def test_a_damage_is_said(tmp_path):
    (tmp_path / "0.tar").write_bytes(b"BZh91AY")
    assert "0.tar is no tar but bzip2-compressed" in missing_pair(Unit("0", str(tmp_path / "0.tar"), 7))
