"""Near captions against all pairs of Python sets of words."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from near_corpus import NearCorpus
from pydantic import ValidationError

from data_filters.facts import Facts
from data_filters.image import ImageHeader
from pipelines.curate.corpus.near import repeated_keys
from pipelines.curate.corpus.near.buckets import BEYOND
from pipelines.curate.rules.near_captions import NearCaptions

HEADER = ImageHeader(width=1, height=1, format="png")
EARLIER = -(1 << 62)


def captions(count: int, seed: int) -> list[str]:
    """Random captions; a third nearly repeats an earlier one, some repeat it whole in another order."""
    rng = np.random.default_rng(seed)
    made: list[str] = []
    for number in range(count):
        if number > 10 and rng.random() < 0.4:
            words = made[rng.integers(number)].lower().rstrip(".").split()
            rng.shuffle(words)
            for _ in range(rng.integers(0, 3)):
                if words:
                    words[rng.integers(len(words))] = f"w{rng.integers(300)}"
        else:
            words = [f"w{word}" for word in rng.integers(0, 300, rng.integers(0, 20))]
        made.append(" ".join(words).capitalize() + ".")
    return made


def table(rule: NearCaptions, rows: Sequence[str]) -> pa.Table:
    (group,) = rule.groups()
    return pa.Table.from_batches([group.measure([Facts(HEADER, caption) for caption in rows])])


def split(rule: NearCaptions, rows: list[str], cuts: Sequence[int]) -> list[pa.Table]:
    ends = [0, *cuts, len(rows)]
    return [table(rule, rows[a:b]) for a, b in pairwise(ends)]


def places(corpus: NearCorpus) -> dict[int, tuple[int, float]]:
    """The drops by place in the whole corpus; places of earlier outputs count from below zero."""
    place = {}
    for tables, base, low in (
        (corpus.shards, 0, 0),
        (corpus.earlier, EARLIER, -sum(map(len, corpus.earlier))),
    ):
        for shard, part in enumerate(tables):
            for row in range(len(part)):
                place[base + (shard << 32) + row] = low
                low += 1
    return {place[rank]: (place[other], value) for rank, (other, value) in corpus.drops.items()}


def referee(rows: list[str], before: int, limit: float) -> dict[int, tuple[int, float]]:
    """All pairs; of equal sets the earliest stands for the others. The first `before` rows are not dropped."""
    sets = [frozenset(row.lower().rstrip(".").split()) for row in rows]
    drops = {}
    for later, words in enumerate(sets):
        if not words:
            continue
        same = sets.index(words)
        for earlier in [same] if same < later else range(later):
            similarity = len(words & sets[earlier]) / len(words | sets[earlier])
            if similarity >= limit and later >= before:
                drops[later - before] = (earlier - before, similarity)
                break
    return drops


@pytest.mark.parametrize("limit", [0.8, 0.6, 1.0])
@pytest.mark.parametrize("before", [0, 150])
@pytest.mark.parametrize("most", [None, 2])
def test_drops_are_those_of_all_pairs(limit: float, before: int, most: int | None) -> None:
    rule = NearCaptions(kind="near_captions", min_similarity=limit, rows=2, min_recall=1 - 1e-9)
    rows = captions(700, seed=int(limit * 10))
    earlier = split(rule, rows[:before], [40]) if before else []
    corpus = NearCorpus(split(rule, rows[before:], [100, 101, 350]), earlier=earlier, most=most)
    rule.decide(corpus)
    expected = referee(rows, before, limit)
    assert places(corpus) == expected
    assert len(expected) > 50
    assert corpus.counts[BEYOND] == 0


def test_nothing_is_dropped_wrongly_where_candidates_are_few() -> None:
    rule = NearCaptions(kind="near_captions", min_recall=0.5)
    rows = captions(700, seed=8)
    corpus = NearCorpus(split(rule, rows, [300]))
    rule.decide(corpus)
    expected, got = referee(rows, 0, 0.8), places(corpus)
    assert got.keys() <= expected.keys()
    for later, (earlier, value) in got.items():
        one, other = (set(rows[row].lower().rstrip(".").split()) for row in (later, earlier))
        assert earlier < later
        assert value == len(one & other) / len(one | other) >= 0.8


@pytest.mark.parametrize("cap", [1000, 2])
def test_order_partitions_and_splits_into_shards_do_not_matter(cap: int) -> None:
    rule = NearCaptions(kind="near_captions", rows=2, cap=cap)
    rows = captions(600, seed=3)
    results = []
    for cuts, partitions, seed, most in (
        ([], 1, None, None),
        ([7, 200, 201], 5, 1, None),
        (range(50, 600, 50), 3, 2, 3),
        ([90], 1, None, 1),
    ):
        corpus = NearCorpus(split(rule, rows, cuts), partitions=partitions, seed=seed, most=most)
        rule.decide(corpus)
        results.append((places(corpus), corpus.counts))
    assert all(result == results[0] for result in results)
    assert (results[0][1][BEYOND] > 0) == (cap == 2)


def test_the_result_is_the_same_where_the_repeated_keys_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = NearCaptions(kind="near_captions")
    made = []
    for most in (1 << 20, 0):
        monkeypatch.setattr(repeated_keys, "MOST_KEYS", most)
        corpus = NearCorpus(split(rule, captions(600, seed=4), [200]), partitions=3)
        rule.decide(corpus)
        made.append(corpus)
    assert made[0].drops == made[1].drops
    assert made[0].counts == made[1].counts
    assert made[0].shuffled_bytes < 0.8 * made[1].shuffled_bytes


@pytest.mark.parametrize(("changed", "size"), [(1, 10), (2, 19), (1, 20)])
def test_recall_is_that_of_the_printed_curve(changed: int, size: int) -> None:
    rng = np.random.default_rng(size)
    similarity = (size - changed) / (size + changed)
    rule = NearCaptions(kind="near_captions", min_similarity=0.8, min_recall=0.8)
    rows = []
    for pair in range(3000):
        words = [f"p{pair}w{word}" for word in range(size + changed)]
        rows += [" ".join(words[:size]), " ".join(rng.permutation(words[changed:]))]
    corpus = NearCorpus([table(rule, rows)])
    rule.decide(corpus)
    assert all(rank % 2 and corpus.drops[rank] == (rank - 1, similarity) for rank in corpus.drops)
    assert len(corpus.drops) / 3000 == pytest.approx(rule.bands().recall(similarity), abs=0.02)


def test_the_curve_ends_at_the_limit_with_the_recall_asked_for() -> None:
    rule = NearCaptions(kind="near_captions")
    curve = rule.recall_by_distance()
    assert curve[0] == (0.0, 1.0)
    assert curve[-1] == (0.2, 1 - (1 - 0.8**6) ** 10)
    assert curve[-1][1] >= 0.95


def test_equal_sets_need_one_band_and_have_a_curve_of_one_row() -> None:
    rule = NearCaptions(kind="near_captions", min_similarity=1.0)
    assert rule.bands().bands == 1
    assert rule.recall_by_distance() == [(0.0, 1.0)]


def test_captions_without_a_word_are_counted_and_kept() -> None:
    rule = NearCaptions(kind="near_captions")
    corpus = NearCorpus(split(rule, ["...", "", "a b", "!"], [2]), earlier=[table(rule, ["?"])])
    rule.decide(corpus)
    assert corpus.drops == {}
    assert rule.no_verdict(corpus) == {"captions without a word": 3}


def test_settings_that_need_too_many_bands_are_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"min_similarity 0\.2 with 6 rows needs 46807 bands; at most 256"
    ):
        NearCaptions(kind="near_captions", min_similarity=0.2)


def test_words_name_the_limit() -> None:
    rule = NearCaptions(kind="near_captions", min_similarity=0.75)
    assert "0.75" in rule.words()
    assert rule.limit() == "similarity below 0.75"
