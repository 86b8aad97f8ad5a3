"""The witness of a shard: equal while nobody touches it, different after any change."""

import hashlib
import os

import fsspec
import pytest

from pipelines.shards import witness as module
from pipelines.shards.witness import ShardChanged, Witness, check_unchanged, read_sha256, witness


def test_equal_until_the_file_is_written_again_with_the_same_size(tmp_path):
    shard = tmp_path / "0.tar"
    shard.write_bytes(b"a" * 100)
    before = witness(shard)
    assert before.size == 100
    assert before.vouches(witness(shard))
    shard.write_bytes(b"b" * 100)  # at once, in place: same size, same inode
    assert not before.vouches(witness(shard))


def test_a_file_put_in_its_place_with_the_old_time_is_another(tmp_path):
    shard, other = tmp_path / "0.tar", tmp_path / "new"
    shard.write_bytes(b"a" * 100)
    before = witness(shard)
    times = os.stat(shard)
    other.write_bytes(b"b" * 100)
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(other, shard)
    assert not before.vouches(witness(shard))


def test_touched_file_has_another_witness_and_the_same_sha256(tmp_path):
    shard = tmp_path / "0.tar"
    shard.write_bytes(b"a" * 100)
    digest, before = read_sha256(shard)
    os.utime(shard, ns=(1, 1))
    again, after = read_sha256(str(shard))
    assert (digest, again) == (hashlib.sha256(b"a" * 100).hexdigest(),) * 2
    assert before != after


def test_remote_file():
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/witness/0.tar", b"a" * 10)
    before = witness("memory://witness/0.tar")
    assert before.vouches(witness("memory://witness/0.tar"))
    fs.pipe_file("/witness/0.tar", b"b" * 10)
    assert not before.vouches(witness("memory://witness/0.tar"))


def test_a_store_that_tells_only_sizes_vouches_for_nothing():
    assert not Witness(10, "").vouches(Witness(10, ""))


def test_a_change_while_the_file_is_read_is_named(tmp_path, monkeypatch):
    shard = tmp_path / "0.tar"
    shard.write_bytes(b"a" * 100)
    digest = hashlib.file_digest

    def slow(file, name):
        result = digest(file, name)
        shard.write_bytes(b"b" * 120)
        return result

    monkeypatch.setattr(module.hashlib, "file_digest", slow)
    with pytest.raises(
        ShardChanged, match=r"0\.tar was changed while it was read \(100 bytes before, 120 now\)"
    ):
        read_sha256(shard)


def test_removed_while_read(tmp_path):
    with pytest.raises(ShardChanged, match="gone.tar was removed"):
        check_unchanged(tmp_path / "gone.tar", Witness(1, "x"))
    with pytest.raises(FileNotFoundError):
        witness(tmp_path / "gone.tar")


def test_json_round_trip():
    given = Witness(5, "7:8")
    assert Witness.from_json(given.as_json()) == given
    assert [Witness.from_json(value) for value in (None, [], {"size": "5", "mark": "x"})] == [None] * 3
