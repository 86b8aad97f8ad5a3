"""A shard is its bytes: what is read again at a restart, what is trusted, and what is refused."""

import hashlib
import json
import os
import uuid
from pathlib import Path

import fsspec
import pytest
from raw_shards import pairs, write_tar

from data_filters.errors import InputError
from pretrain.data.shards import shard_records
from pretrain.data.shards.shard_records import record_shards, sha256_of, version_of, vouches, witness_of
from pretrain.data.shards.source import FoundShard


@pytest.fixture
def tar(tmp_path) -> Path:
    """A tar of two pairs."""
    return write_tar(tmp_path / "0.tar", pairs(2))


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The URIs whose bytes were read, in order."""
    uris: list[str] = []
    original = sha256_of
    monkeypatch.setattr(shard_records, "sha256_of", lambda uri: (uris.append(uri), original(uri))[1])
    return uris


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def other_bytes(path: Path) -> None:
    """Change one byte of a file in its middle; its size and its date to the second stay."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def test_a_plain_tar_is_read_once_and_again_when_it_changed(tar, read):
    found = [FoundShard(str(tar), 2)]
    first = record_shards(found)
    assert (first[0]["sha256"], first[0]["samples"]) == (sha256(tar), 2)
    assert record_shards(found, first) == first
    assert read == [str(tar)], "an equal witness stands for reading it"
    other_bytes(tar)
    second = record_shards(found, first)
    assert second[0]["sha256"] == sha256(tar) != first[0]["sha256"]
    assert record_shards(found, second, read_all=True) == second
    assert len(read) == 3


def test_a_touched_or_copied_tar_has_the_same_sha256(tar, read):
    found = [FoundShard(str(tar), 2)]
    first = record_shards(found)
    copy = tar.with_name("copy")
    copy.write_bytes(tar.read_bytes())
    copy.replace(tar)
    second = record_shards(found, first)
    assert second[0]["sha256"] == first[0]["sha256"]
    assert second[0]["witness"] != first[0]["witness"]
    assert len(read) == 2


def test_a_record_of_an_older_version_is_completed(tar):
    older = {"uri": str(tar), "samples": 2, "sha256": "", "witness": None}
    assert record_shards([FoundShard(str(tar), 2)], [older])[0]["sha256"] == sha256(tar)


def test_a_committed_tar_is_read_at_a_restart_only_when_it_changed(tar, read):
    found = [FoundShard(str(tar), 2, sha256(tar), tar.stat().st_size)]
    first = record_shards(found)
    assert record_shards(found, first) == first
    assert read == []
    assert record_shards(found, read_all=True) == first
    os.utime(tar, ns=(1, 1))
    assert record_shards(found, first)[0]["sha256"] == first[0]["sha256"]
    assert len(read) == 2


@pytest.mark.parametrize("again", [True, False], ids=["restart", "verify"])
def test_a_committed_tar_of_other_bytes_is_refused(tar, again):
    found = [FoundShard(str(tar), 2, sha256(tar), tar.stat().st_size)]
    first = record_shards(found)
    other_bytes(tar)
    with pytest.raises(InputError, match=r"0\.tar has sha256 \w{64}, its manifest says \w{64}") as refused:
        record_shards(found, first if again else (), read_all=not again)
    assert "\n" not in str(refused.value)


def test_a_committed_tar_of_another_size_or_absent_is_refused_at_the_first_start(tar):
    found = [FoundShard(str(tar), 2, sha256(tar), tar.stat().st_size)]
    tar.write_bytes(tar.read_bytes()[:-512])
    with pytest.raises(InputError, match=r"0\.tar has \d+ bytes, its manifest says \d+.*curate it again"):
        record_shards(found)
    tar.unlink()
    with pytest.raises(InputError, match=r"0\.tar is not there, a manifest names it"):
        record_shards(found)


def test_a_remote_tar_is_known_by_its_witness_and_read_only_on_request(tar, read):
    store, path = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}/0.tar"
    store.pipe_file(path, tar.read_bytes())
    uri = f"memory:/{path}"
    first = record_shards([FoundShard(uri, 2)])
    assert first[0]["sha256"] == ""
    assert record_shards([FoundShard(uri, 2)], first) == first
    assert read == []
    verified = record_shards([FoundShard(uri, 2)], first, read_all=True)
    assert verified[0]["sha256"] == sha256(tar)
    assert record_shards([FoundShard(uri, 2)], verified) == verified
    store.pipe_file(path, tar.read_bytes() + bytes(512))
    changed = record_shards([FoundShard(uri, 2)], verified)
    assert changed[0]["sha256"] == ""
    assert version_of(changed[0]["witness"]) != version_of(first[0]["witness"])


def test_a_witness_is_json_and_vouches_for_itself_only(tar):
    now = witness_of(str(tar))
    assert json.loads(json.dumps(now)) == now
    assert now["size"] == tar.stat().st_size
    (record,) = record_shards([FoundShard(str(tar), 2)])
    assert vouches(record, now)
    assert not vouches(record, now | {"mark": "other"})
    assert not vouches({**record, "witness": None}, now)
