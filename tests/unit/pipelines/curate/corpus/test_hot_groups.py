"""What hot groups take out of an exchange. That drops stay the same, the tests of the rules show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from small_corpus import SmallCorpus

from pipelines.curate.corpus import hot_groups as module
from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.duplicates import drop_repeats, drop_widespread
from pipelines.curate.corpus.hot_groups import HotGroups, hot_groups, merge_groups, summed_groups

NONE = 2**63 - 1


def keys(rows: Rows) -> pa.Table:
    return pa.table({"key": rows.table["key"], "same_0": rows.table["same"], "rank": rows.ranks()})


def shard(*rows: tuple[int, int]) -> pa.Table:
    names, columns = ("key", "same"), list(zip(*rows, strict=True)) or [(), ()]
    return pa.table(
        {name: pa.array(column, pa.uint64()) for name, column in zip(names, columns, strict=True)}
    )


def test_groups_of_enough_rows_are_found_with_their_two_earliest_ranks() -> None:
    shards = {
        "a": shard((7, 1), (7, 1), (8, 1), (7, 2)),
        "b": shard((7, 1), (8, 1), (8, 1), (9, 1)),
        "c": shard(),
    }
    corpus = SmallCorpus(shards, {"old": shard((8, 1))}, seed=1, most=3)
    found = hot_groups(corpus, ["key", "same"], keys, 24)
    assert found is not None
    assert found.table.to_pydict() == {
        "key": [7, 8],
        "same_0": [1, 1],
        "count": [3, 4],
        "first": [0, -(2**62)],
        "second": [1, 2],
    }
    rows = Rows(0, "a", np.arange(5), shard((7, 1), (7, 2), (6, 1), (8, 1), (10, 1)))
    assert found.places(keys(rows)).tolist() == [0, -1, -1, 1, -1]


def test_there_are_none_where_every_reduce_can_be_given_all_or_no_group_is_large() -> None:
    shards = {"a": shard((7, 1), (7, 1), (8, 1))}
    for most in (None, 3):
        assert hot_groups(SmallCorpus(shards, most=most), ["key", "same"], keys, 24) is None


def test_groups_are_added_up_in_any_order() -> None:
    def one(key: int, rank: int) -> pa.Table:
        columns = {"key": pa.array([key], pa.uint64()), "count": [1], "first": [rank], "second": [NONE]}
        return summed_groups(pa.table(columns))

    ranks = np.random.default_rng(0).permutation(50)
    tables = [one(rank % 3, int(rank)) for rank in ranks]
    left = tables[0]
    for table in tables[1:]:
        left = merge_groups(left, table)
    right = tables[-1]
    for table in tables[-2::-1]:
        right = merge_groups(table, right)
    assert left.sort_by("key") == right.sort_by("key")
    assert left.sort_by("key").to_pydict() == {
        "key": [0, 1, 2],
        "count": [17, 17, 16],
        "first": [0, 1, 2],
        "second": [3, 4, 5],
    }


@dataclass(frozen=True)
class Images:
    """Shards of rows of which one caption, one image and one pair of both come in every second row."""

    seed: int

    def shards(self) -> dict[str, pa.Table]:
        draw = np.random.default_rng(self.seed)

        def column(count: int) -> pa.Array:
            names = np.where(draw.random(count) < 0.5, 0, draw.integers(1, 400, count))
            return pa.array([xxhash.xxh3_128_digest(str(name).encode()) for name in names], pa.binary(16))

        names = [f"s{number}" for number in range(6)]
        return {name: pa.table({"caption_key": column(200), "image_hash": column(200)}) for name in names}


@pytest.mark.parametrize("of", ["caption", "image", "both"])
def test_rows_of_a_hot_group_go_through_the_exchange_under_keys_of_their_own(of) -> None:
    met = []
    for most in (None, 40):
        corpus = SmallCorpus(Images(0).shards(), partitions=4, seed=0, most=most)
        drop_repeats(corpus.as_corpus(), of, keep_first=True)
        met.append((corpus.most_met, corpus.drops))
    assert met[0][1] == met[1][1]
    assert met[0][0] > 250
    assert met[1][0] < 40


def test_of_a_hot_caption_only_its_distinct_images_are_counted_together() -> None:
    met = []
    for most in (None, 40):
        corpus = SmallCorpus(Images(1).shards(), partitions=4, seed=0, most=most)
        drop_widespread(corpus.as_corpus(), "caption", "image_hash", 20)
        met.append((corpus.most_met, corpus.drops))
    assert met[0][1] == met[1][1]
    assert met[0][0] > 500
    assert met[1][0] < 40


def test_places_of_no_rows_are_none() -> None:
    table = pa.table({"key": pa.array([1], pa.uint64()), "count": [9], "first": [0], "second": [1]})
    rows = pa.table({"key": pa.array([], pa.uint64()), "rank": pa.array([], pa.int64())})
    assert HotGroups(table).places(rows).tolist() == []


def test_no_group_is_missed_where_there_are_more_than_a_first_summary_holds(monkeypatch) -> None:
    monkeypatch.setattr(module, "SIZE", 4)
    tables = {f"s{number}": shard(*((key, 0) for key in range(20) for _ in range(5))) for number in range(3)}
    found = hot_groups(SmallCorpus(tables, seed=3, most=15), ["key", "same"], keys, 24)
    assert found is not None
    assert found.table["key"].to_pylist() == list(range(20))
    assert hot_groups(SmallCorpus(tables, seed=3, most=16), ["key", "same"], keys, 24) is None
