from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from pipelines.curate.corpus.counts import counts_of
from pipelines.curate.corpus.near import buckets
from pipelines.curate.corpus.near.buckets import (
    BEYOND,
    OVERSIZED,
    Bucketed,
    nearest_earlier,
    shared,
)

Row = tuple[int, int, int]  # key, rank, content


def corpus(count: int, keys: int, contents: int, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    ranks = rng.permutation(3 * count)[:count] - count // 4
    return [(int(rng.integers(keys)), int(rank), int(rng.integers(contents))) for rank in ranks]


def found(rows: list[Row], cap: int, distance: int) -> pa.Table:
    key, rank, content = (np.array(column) for column in zip(*rows, strict=True))

    def near(later: np.ndarray, earlier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        apart = np.abs(content[later] - content[earlier])
        return apart <= distance, apart.astype(np.float64)

    return nearest_earlier(Bucketed(key.astype(np.uint64), rank, content.astype(np.uint64)), near, cap)


def referee(rows: list[Row], cap: int, distance: int) -> tuple[set[tuple[int, int, float]], int, int]:
    """Every bucket by itself, pair by pair."""
    by_key = defaultdict(list)
    for key, rank, content in sorted(rows, key=lambda row: row[1]):
        by_key[key].append((rank, content))
    drops, oversized, beyond = set(), 0, 0
    for bucket in by_key.values():
        firsts: list[tuple[int, int]] = []
        for rank, content in bucket:
            same = next((one for one in firsts if one[1] == content), None)
            if same is not None:
                hit = same
            else:
                hit = next((one for one in firsts[:cap] if abs(one[1] - content) <= distance), None)
                firsts.append((rank, content))
            if hit is not None and rank >= 0:
                drops.add((rank, hit[0], float(abs(hit[1] - content))))
        beyond += max(len(firsts) - 1 - cap, 0)
        oversized += len(firsts) - 1 > cap
    return drops, oversized, beyond


@pytest.mark.parametrize("pairs_at_once", [7, 1 << 20])
@pytest.mark.parametrize(
    ("count", "keys", "contents", "cap", "distance"),
    [
        (300, 1, 400, 1000, 1),
        (400, 3, 3000, 20, 2),
        (400, 2, 3000, 3, 2),
        (300, 40, 30, 5, 1),
        (50, 500, 9, 9, 3),
    ],
)
def test_drops_and_counts_are_those_of_a_walk_pair_by_pair(
    count: int,
    keys: int,
    contents: int,
    cap: int,
    distance: int,
    pairs_at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets, "_PAIRS_AT_ONCE", pairs_at_once)
    rows = corpus(count, keys, contents, count + cap)
    drops, oversized, beyond = referee(rows, cap, distance)
    table = found(rows, cap, distance)
    assert {tuple(row.values()) for row in table.to_pylist()} == drops
    assert len(table) == len(drops)
    assert counts_of(table) == {OVERSIZED: oversized, BEYOND: beyond}


def test_some_case_above_reaches_the_cap() -> None:
    drops, oversized, beyond = referee(corpus(400, 2, 3000, 403), 3, 2)
    assert (bool(drops), oversized, beyond > 300) == (True, 2, True)


def test_order_does_not_matter_and_keys_are_apart() -> None:
    rows = corpus(300, 6, 100, 9)
    whole = found(rows, 50, 2).sort_by("rank")
    assert found(rows[::-1], 50, 2).sort_by("rank") == whole
    parts = [found([row for row in rows if row[0] % 2 == odd], 50, 2) for odd in (0, 1)]
    assert pa.concat_tables(parts).sort_by("rank").to_pylist() == whole.to_pylist()


def test_no_rows_give_no_drops() -> None:
    empty = np.zeros(0, np.int64)
    rows = Bucketed(empty.astype(np.uint64), empty, empty.astype(np.uint64))
    table = nearest_earlier(rows, lambda one, _: (one > 0, one.astype(np.float64)), 5)
    assert len(table) == 0
    assert counts_of(table) == {OVERSIZED: 0, BEYOND: 0}


def test_shared_leaves_out_rows_that_are_alone() -> None:
    key = np.array([4, 9, 4, 1, 9, 9, 0], dtype=np.uint64)
    assert sorted(shared(key).tolist()) == [0, 1, 2, 4, 5]
    assert shared(key[:0]).tolist() == []
