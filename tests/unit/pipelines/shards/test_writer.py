"""Written tars: the same bytes for everyone, whole or not at all, and read back by tarfile."""

import hashlib
import os
import tarfile

import pyarrow.parquet as pq
import pytest

from pipelines.shards import writer
from pipelines.shards.writer import RECORD, ShardInfo, write_shard


def three_samples(path) -> list[tuple[str, dict[str, bytes]]]:
    samples = [(f"k{i}", {"jpg": bytes([i]) * 700, "txt": b"caption"}) for i in range(3)]
    write_shard(path, samples)
    return samples


def test_headers_are_the_same_for_everyone(tmp_path):
    write_shard(tmp_path / "a.tar", [("k", {"txt": b"t", "jpg": b"j"})])
    write_shard(tmp_path / "b.tar", [("k", {"jpg": b"j", "txt": b"t"})])
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert (tmp_path / "a.index.parquet").read_bytes() == (tmp_path / "b.index.parquet").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        for member in tar.getmembers():
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            assert member.mode == 0o644
        assert tar.getnames() == ["k.jpg", "k.txt"]
    table = pq.read_table(tmp_path / "a.index.parquet")
    assert [(f.name, str(f.type)) for f in table.schema] == [
        ("key", "string"),
        ("extension", "string"),
        ("offset", "int64"),
        ("length", "int64"),
    ]


def test_failed_writing_leaves_nothing_and_harms_nothing(tmp_path):
    path = tmp_path / "x.tar"
    three_samples(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def failing():
        yield "a", {"txt": b"1"}
        raise OSError("disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        write_shard(path, failing())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_key_twice_or_a_name_that_is_no_key_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'k' comes twice"):
        write_shard(tmp_path / "x.tar", [("k", {"txt": b""}), ("k", {"jpg": b""})])
    with pytest.raises(ValueError, match=r"is no name for extension 'txt' under key 'a\.b'"):
        write_shard(tmp_path / "x.tar", [("a.b", {"txt": b""})])
    assert list(tmp_path.iterdir()) == []


def test_the_summary_is_that_of_the_file(tmp_path):
    samples = three_samples(tmp_path / "x.tar")
    info = write_shard(tmp_path / "y.tar", iter(samples))
    data = (tmp_path / "y.tar").read_bytes()
    assert info == ShardInfo(str(tmp_path / "y.tar"), 3, len(data), hashlib.sha256(data).hexdigest())
    assert data == (tmp_path / "x.tar").read_bytes()
    assert len(data) % RECORD == 0


def test_an_empty_shard_is_a_tar_with_an_empty_index(tmp_path):
    assert write_shard(tmp_path / "x.tar", []).samples == 0
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert tar.getnames() == []
    assert pq.read_table(tmp_path / "x.index.parquet").num_rows == 0


@pytest.mark.parametrize("key", ["../up", "/root", "a\\b", "a\0b", "caf\udce9"])
def test_an_unsafe_name_is_never_written(tmp_path, key):
    with pytest.raises(ValueError, match="rename it"):
        write_shard(tmp_path / "0.tar", [(key, {"txt": b"x"})])
    assert list(tmp_path.iterdir()) == []


def test_tar_and_index_are_on_the_disk_before_they_have_their_names(tmp_path, monkeypatch):
    synced = []

    def sync(path):
        assert not (tmp_path / "0.tar").exists()
        synced.append(os.path.basename(path))

    monkeypatch.setattr(writer, "sync_file", sync)
    write_shard(tmp_path / "0.tar", [("a", {"txt": b"a dog"})])
    tar, index = synced
    assert tar.startswith(".0.tar.")
    assert index.startswith(".0.index.parquet.")
