"""Samples of raw tars: members of a key apart from each other, behind damage, stored sparse."""

import tarfile
from collections import Counter

import pytest
from raw_shards import add_member, pairs, picture, write_tar

from pipelines.shards.reader import walk
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data import shard_samples
from pretrain.evaluation.data.shard_samples import members_of, read_metadata, read_samples


def read(tar):
    skipped = Counter[str]()
    return list(read_samples(str(tar), skipped)), skipped


def test_members_of_a_key_are_joined_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_samples, "READ_AHEAD", 1)  # every sample is a batch of its own
    images, texts = ({f"{key}.{name}": key + name for key in "abc"} for name in ("jpg", "txt"))
    samples, skipped = read(write_tar(tmp_path / "0.tar", images | texts | {"a.npy": "not needed"}))
    assert samples == [(key, {"jpg": f"{key}jpg".encode(), "txt": f"{key}txt".encode()}) for key in "abc"]
    assert not skipped


@pytest.mark.parametrize("place", ["header", "behind the end"])
def test_what_a_damage_has_cost_is_counted_in_samples_and_the_rest_is_read(tmp_path, place):
    tar = write_tar(tmp_path / "00000.tar", pairs(20))
    (tmp_path / "00000_stats.json").write_text('{"successes": 20}')
    data, members = bytearray(tar.read_bytes()), list(walk(tar))
    if place == "header":
        data[members[12].offset - 512 + 148] ^= 7  # the checksum of the header of the seventh image
    else:
        del data[members[24].offset + 3 :]
    tar.write_bytes(data)
    samples, skipped = read(tar)
    assert len(samples) == (19 if place == "header" else 12)
    assert skipped == {"broken_shard": 20 - len(samples)}


def test_samples_whose_image_is_stored_sparse_are_counted(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for key in "ab":
            add_member(tar, f"{key}.png", picture())
            add_member(tar, f"{key}.txt", "a dog")
    data = bytearray((tmp_path / "0.tar").read_bytes())
    data[156:157] = b"S"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "0.tar").write_bytes(data)
    samples, skipped = read(tmp_path / "0.tar")
    assert [key for key, _ in samples] == ["b"]
    assert skipped == {"sparse_member": 1}


def test_an_index_that_cannot_be_used_is_not_used(tmp_path):
    tar = tmp_path / "0.tar"
    write_shard(tar, [("a", {"txt": b"x" * 9000}), ("b", {"json": b'{"class": 3}'})])
    other = (tmp_path / "0.index.parquet").read_bytes()
    write_shard(tar, [("b", {"json": b'{"class": 3}'})])
    assert [member.key for member in members_of(str(tar))] == ["b"]
    (tmp_path / "0.index.parquet").write_bytes(b"PAR1 no more")
    assert [member.key for member in members_of(str(tar))] == ["b"]
    (tmp_path / "0.index.parquet").write_bytes(other)  # its places lie behind the end of this tar
    assert read_metadata(str(tar)) == [b'{"class": 3}']
