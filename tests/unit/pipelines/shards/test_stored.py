"""A member is copied from tar to tar in pieces."""

import pytest

from pipelines.shards import stored
from pipelines.shards.reader import iterate, read_index
from pipelines.shards.stored import Stored, stored_apart
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.writer import write_shard


def test_the_bytes_arrive_and_only_large_members_are_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1000)
    monkeypatch.setattr(stored, "PIECE", 100)
    parts = {"jpg": b"J" * 2000, "mp4": bytes(range(256)) * 5, "cls": b"7"}
    source = str(tmp_path / "a.tar")
    write_shard(source, [("k", parts)])
    apart = stored_apart(source, read_index(source), {"jpg"})
    assert {name: one.length for name, one in apart.items()} == {"mp4": 1280}
    assert [len(piece) for piece in apart["mp4"]] == [100] * 12 + [80]
    info = write_shard(tmp_path / "b.tar", [("k", {**parts, **apart})])
    assert dict(iterate(tmp_path / "b.tar"))["k"] == parts
    assert info.sha256 == write_shard(tmp_path / "c.tar", [("k", parts)]).sha256


def test_a_tar_that_is_too_short_is_noticed(tmp_path):
    write_shard(tmp_path / "a.tar", [])
    with pytest.raises(BrokenShard, match="ends inside a member"):
        list(Stored(str(tmp_path / "a.tar"), Member("k", "mp4", 5000, 10_000)))
