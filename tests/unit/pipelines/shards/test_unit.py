"""A unit is called after its file, wherever that lies."""

from pipelines.shards.unit import Unit


def test_the_shard_is_the_file_name():
    assert Unit("00012", "s3://bucket/deep/00012.tar", 5).shard == "00012.tar"
