"""Batches hold everything once, in order, and end where they reach their bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.shards import batches as batches_module
from pipelines.shards import stored
from pipelines.shards.batches import READ_AHEAD, batches, held_in_memory, length_of, parts_of, read_samples
from pipelines.shards.reader import group, walk
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.writer import write_shard

HALF = READ_AHEAD // 2


def test_a_batch_ends_where_its_bytes_reach_the_limit():
    assert list(batches([HALF, HALF - 1, 1, HALF, 3 * HALF, 0], lambda size: size)) == [
        [HALF, HALF - 1, 1],
        [HALF, 3 * HALF],
        [0],
    ]
    assert list(batches([], lambda size: size)) == []


@given(st.lists(st.integers(0, 3 * HALF), max_size=20))
def test_nothing_is_lost_and_only_the_last_batch_is_short(sizes):
    found = list(batches(sizes, lambda size: size))
    assert [size for batch in found for size in batch] == sizes
    assert all(sum(batch) >= READ_AHEAD > sum(batch[:-1]) for batch in found[:-1])
    assert all(found)


def test_samples_are_read_in_batches_and_large_extras_are_left_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1000)
    monkeypatch.setattr(batches_module, "READ_AHEAD", 3000)
    samples = [
        (key, {"jpg": key.encode() * 2000, "txt": b"a dog", "mp4": b"M" * length})
        for key, length in [("a", 10), ("b", 5000), ("c", 10)]
    ]
    uri = str(tmp_path / "0.tar")
    write_shard(uri, samples)
    members = [members for _, members in group(walk(uri))]
    first, second = read_samples(uri, members)
    assert [len(first), len(second)] == [2, 1]
    assert {**first[0]} == samples[0][1]
    assert held_in_memory(first[1]) == {"jpg": b"b" * 2000, "txt": b"a dog"}
    assert b"".join(first[1]["mp4"]) == b"M" * 5000
    assert length_of(members[1]) == 7005
    with pytest.raises(BrokenShard, match="ends inside a member"):
        list(read_samples(uri, [[Member("a", "jpg", 10**6, 5)]]))


def test_the_parts_of_a_sample_are_image_caption_and_metadata_in_their_order() -> None:
    names = ("json", "mp4", "JPG", "txt", "npy")
    members = [Member("a", name, 512 * place, 1) for place, name in enumerate(names)]
    assert [part.extension for part in parts_of(members)] == ["json", "JPG", "txt"]
    assert parts_of([]) == []
