"""Ranges of bytes: what is read, and which members share a request."""

import uuid
from itertools import pairwise

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.shards import storage
from pipelines.shards.storage import MAX_GAP, MAX_RANGE, coalesce, index_name, open_at_random, read_range
from pipelines.shards.tar_format import Member

DATA = bytes(range(256)) * 5


@pytest.mark.parametrize("where", ["local", "memory"])
def test_any_range_is_that_of_the_bytes(where, tmp_path):
    uri = str(tmp_path / "x") if where == "local" else f"memory://{uuid.uuid4().hex}/x"
    with fsspec.open(uri, "wb") as file:
        file.write(DATA)
    with open_at_random(uri) as (read, total):
        assert total == len(DATA)
        for offset, length in [(700, 100), (0, 5), (1270, 50), (2000, 3), (10, 0)]:
            assert read(offset, length) == DATA[offset : offset + length]


def test_an_empty_file_is_read_as_nothing(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with open_at_random(tmp_path / "x") as (read, total):
        assert (read(0, 10), total) == (b"", 0)


sizes = st.tuples(st.integers(0, 3 * MAX_GAP), st.integers(0, MAX_RANGE // 3))  # gap before it, length


@given(st.lists(sizes, max_size=12), st.randoms())
def test_every_member_lies_in_one_request_and_requests_keep_their_limits(gaps_and_lengths, random):
    members, at = [], 0
    for gap, length in gaps_and_lengths:
        members.append(Member("k", "bin", at + gap, length))
        at += gap + length
    random.shuffle(members)
    ranges = coalesce(members)
    assert sorted(position for _, _, positions in ranges for position in positions) == list(
        range(len(members))
    )
    for start, stop, positions in ranges:
        assert start == min(members[i].offset for i in positions)
        assert stop == max(members[i].offset + members[i].length for i in positions)
        assert stop - start <= max(MAX_RANGE, max(members[i].length for i in positions))
    for (first, stop, _), (start, _, positions) in pairwise(ranges):  # each cut has its reason
        end = members[positions[0]].offset + members[positions[0]].length
        assert start - stop > MAX_GAP or end - first > MAX_RANGE


def test_neighbours_by_hand():
    members = [
        Member("a", "bin", 0, 10),
        Member("b", "bin", 10 + MAX_GAP, 5),
        Member("c", "bin", 16 + 2 * MAX_GAP, 5),
        Member("d", "bin", 2, 3),
    ]
    assert coalesce(members) == [
        (0, 15 + MAX_GAP, [0, 3, 1]),
        (16 + 2 * MAX_GAP, 21 + 2 * MAX_GAP, [2]),
    ]


def test_index_name():
    assert index_name("s3://a/b.tar/00001.tar") == "s3://a/b.tar/00001.index.parquet"


def test_a_range_is_read_in_several_calls(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "MAX_READ", 7)
    (tmp_path / "x").write_bytes(bytes(range(100)))
    with open(tmp_path / "x", "rb") as file:
        assert read_range(file.fileno(), 3, 50) == bytes(range(3, 50))
        assert read_range(file.fileno(), 90, 500) == bytes(range(90, 100))
        assert read_range(file.fileno(), 5, 5) == b""
