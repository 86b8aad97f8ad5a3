"""Near images against all pairs of unpacked bits."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from near_corpus import NearCorpus
from pydantic import ValidationError

from pipelines.curate.corpus.near.buckets import BEYOND
from pipelines.curate.rules.near_images import NearImages

Bits = np.ndarray  # bool[rows, 256]


def hashes(count: int, furthest: int, seed: int) -> Bits:
    """Random hashes; half of them lie up to `furthest` bits from an earlier one, some at 0."""
    rng = np.random.default_rng(seed)
    bits = rng.random((count, 256)) < 0.5
    for row in range(10, count):
        if rng.random() < 0.5:
            bits[row] = bits[rng.integers(row)]
            bits[row, rng.permutation(256)[: rng.integers(furthest + 1)]] ^= True
    return bits


def table(bits: Bits, quality: Sequence[float | None]) -> pa.Table:
    """Rows without quality have no hash either."""
    packed = np.packbits(bits, axis=1)
    rows = [None if q is None else row.tobytes() for row, q in zip(packed, quality, strict=True)]
    return pa.table({"pdq": pa.array(rows, pa.binary(32)), "pdq_quality": pa.array(quality, pa.int32())})


def shards(bits: Bits, quality: Sequence[float | None], cuts: Sequence[int]) -> list[pa.Table]:
    ends = [0, *cuts, len(bits)]
    return [table(bits[a:b], quality[a:b]) for a, b in pairwise(ends)]


def places(corpus: NearCorpus) -> dict[int, tuple[int, float]]:
    """The drops by place in the whole corpus; rows of the one earlier shard count from -2 downwards."""
    starts = np.cumsum([0, *map(len, corpus.shards)])

    def place(rank: int) -> int:
        if rank < 0:
            return rank + (1 << 62) - 1000
        return int(starts[rank >> 32]) + (rank & 0xFFFFFFFF)

    return {place(rank): (place(other), value) for rank, (other, value) in corpus.drops.items()}


def referee(bits: Bits, judged: np.ndarray, before: int, limit: int) -> dict[int, tuple[int, float]]:
    """All distances by a product of signs; of equal hashes the earliest stands for the others."""
    signs = 2.0 * bits - 1
    distance = (256 - signs @ signs.T) / 2
    drops = {}
    for later in np.flatnonzero(judged):
        same = np.flatnonzero(judged & (distance[later] == 0))[0]
        near = [same] if same < later else np.flatnonzero(judged[:later] & (distance[later, :later] <= limit))
        if len(near) and later >= before:
            other = int(near[0])
            shown = other - 1000 if other < before else other - before
            drops[int(later) - before] = (shown, float(distance[later, other]))
    return drops


@pytest.mark.parametrize(("limit", "bits"), [(11, 20), (31, 8), (0, 24)])
@pytest.mark.parametrize("before", [0, 100])
@pytest.mark.parametrize("most", [None, 2])
def test_drops_are_those_of_all_pairs_where_every_pair_meets(
    limit: int, bits: int, before: int, most: int | None
) -> None:
    rng = np.random.default_rng(limit)
    rule = NearImages(kind="near_images", max_distance=limit, bits=bits, min_recall=1 - 1e-9)
    made = hashes(700, 2 * limit + 4, seed=bits)
    quality: list[float | None] = rng.choice([None, 49, 50, 100], 700, p=[0.1, 0.1, 0.1, 0.7]).tolist()
    judged = np.array([q is not None and q >= 50 for q in quality])
    earlier = [table(made[:before], quality[:before])] if before else []
    corpus = NearCorpus(shards(made[before:], quality[before:], [100, 101]), earlier=earlier, most=most)
    rule.decide(corpus)
    expected = referee(made, judged, before, limit)
    assert places(corpus) == expected
    assert len(expected) > 30
    unseen = sum(q is None for q in quality[before:])
    poor = sum(q == 49 for q in quality[before:])
    assert rule.no_verdict(corpus) == {
        "images without a hash": unseen,
        "images of PDQ quality below 50": poor,
    }


def test_nothing_is_dropped_wrongly_where_candidates_are_few() -> None:
    rule = NearImages(kind="near_images", min_recall=0.2)
    made = hashes(1000, 60, seed=1)
    corpus = NearCorpus(shards(made, [100] * 1000, [300]))
    rule.decide(corpus)
    got = places(corpus)
    assert len(got) > 50
    for later, (earlier, value) in got.items():
        assert earlier < later
        assert (made[later] != made[earlier]).sum() == value <= 31


@pytest.mark.parametrize("cap", [1000, 2])
def test_order_partitions_and_splits_into_shards_do_not_matter(cap: int) -> None:
    rule = NearImages(kind="near_images", bits=6, cap=cap)
    made = hashes(800, 50, seed=3)
    results = []
    for cuts, partitions, seed, most in (
        ([], 1, None, None),
        ([7, 200, 201], 5, 1, None),
        (range(50, 800, 50), 3, 2, 3),
        ([90], 1, None, 1),
    ):
        corpus = NearCorpus(shards(made, [100] * 800, cuts), partitions=partitions, seed=seed, most=most)
        rule.decide(corpus)
        results.append((places(corpus), corpus.counts))
    assert all(result == results[0] for result in results)
    assert (results[0][1][BEYOND] > 0) == (cap == 2)


@pytest.mark.parametrize("distance", [20, 26, 31])
def test_recall_is_that_of_the_printed_curve(distance: int) -> None:
    rng = np.random.default_rng(distance)
    rule = NearImages(kind="near_images", min_recall=0.8)
    made = np.repeat(rng.random((3000, 256)) < 0.5, 2, axis=0)
    for row in made[1::2]:
        row[rng.permutation(256)[:distance]] ^= True
    corpus = NearCorpus([table(made, [100] * 6000)])
    rule.decide(corpus)
    assert all(rank % 2 and corpus.drops[rank] == (rank - 1, distance) for rank in corpus.drops)
    assert len(corpus.drops) / 3000 == pytest.approx(rule.bands().recall(distance), abs=0.02)


def test_the_curve_ends_at_the_limit_with_the_recall_asked_for() -> None:
    curve = NearImages(kind="near_images").recall_by_distance()
    assert curve[0] == (0.0, 1.0)
    assert curve[-1][0] == 31
    assert 0.95 <= curve[-1][1] < 0.96


def test_a_limit_of_zero_has_a_curve_of_one_row() -> None:
    assert NearImages(kind="near_images", max_distance=0).recall_by_distance() == [(0.0, 1.0)]


def test_settings_that_need_too_many_bands_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"max_distance 60 with 40 bits needs more than the 256 bands"):
        NearImages(kind="near_images", max_distance=60, bits=40)


def test_words_name_the_limit() -> None:
    rule = NearImages(kind="near_images", max_distance=7)
    assert "7 bits" in rule.words()
    assert rule.limit() == "distance above 7 bits of 256"
