"""Counts of n-grams and the most frequent of them against a sort."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from small_corpus import SmallCorpus, SmallPartitions, SmallShared

from data_filters.mixing import mix
from pipelines.curate.corpus import ngrams
from pipelines.curate.corpus.corpus import DROPS, Rows
from pipelines.curate.corpus.ngrams import DropRare, count_ngrams, most_frequent, places_in, sum_counts


def lists_of(*captions: list[int]) -> pa.Table:
    return pa.table({"word_hashes": pa.array(captions, pa.list_(pa.uint64()))})


@pytest.mark.parametrize(
    ("once_per_pair", "expected"), [(False, {5: 4, 6: 1, 7: 1}), (True, {5: 2, 6: 1, 7: 1})]
)
@pytest.mark.parametrize("partitions", [1, 4])
def test_occurrences_or_pairs_are_counted(
    once_per_pair: bool, expected: dict[int, int], partitions: int
) -> None:
    shards = {"a": lists_of([5, 5, 5, 6], []), "b": lists_of([7, 5]), "c": lists_of()}
    counted = count_ngrams(SmallCorpus(shards, seed=0, partitions=partitions), once_per_pair)
    pairs = [pair for part in counted.map(_pairs) for pair in part]
    words = {key: number for key, number in pairs if key < 100}
    bigrams = [number for key, number in pairs if key >= 100]
    assert words == expected
    assert sorted(bigrams) == ([1, 1, 1] if once_per_pair else [1, 1, 2])


def _pairs(table: pa.Table) -> list[tuple[int, int]]:
    return list(zip(table["key"].to_pylist(), table["count"].to_pylist(), strict=True))


@pytest.mark.parametrize("number", [1, 2, 3, 50, 999, 1000, 5000])
@pytest.mark.parametrize("at_once", [1, 10, 1 << 22])
def test_the_most_frequent_are_those_of_a_sort(
    number: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrams, "GRAMS_AT_ONCE", at_once)
    draw = np.random.default_rng(number)
    keys = mix(np.arange(1000, dtype=np.uint64))
    keys[:3] = [0, 2**64 - 1, 2**63]
    counts = draw.geometric(0.3, 1000)
    places = draw.integers(0, 5, 1000)
    tables = [
        sum_counts(pa.table({"key": keys[places == place], "count": counts[places == place]}))
        for place in range(6)
    ]
    by_count = sorted(zip((-counts).tolist(), keys.tolist(), strict=True))[:number]
    hashes, found = most_frequent(SmallPartitions(tables), number)
    assert list(zip(hashes.tolist(), found.tolist(), strict=True)) == sorted(
        (key, -count) for count, key in by_count
    )


def test_nothing_has_no_most_frequent() -> None:
    empty = sum_counts(pa.table({"key": pa.array([], pa.uint64()), "count": pa.array([], pa.int64())}))
    for tables in ([empty, empty], []):
        hashes, counts = most_frequent(SmallPartitions(tables), 10)
        assert (len(hashes), len(counts)) == (0, 0)
        assert hashes.dtype == np.uint64


def test_counts_above_32_bits_are_summed() -> None:
    table = pa.table(
        {"key": pa.array([1, 2, 1], pa.uint64()), "count": pa.array([2**40, 1, 2**40], pa.int64())}
    )
    assert _pairs(sum_counts(table)) == [(1, 2**41), (2, 1)]


def test_pairs_with_rare_ngrams_are_dropped_with_their_number() -> None:
    rows = Rows(0, "s", np.array([4, 6, 9, 11]), lists_of([5], [5, 8], [], [8, 8]))
    drops = DropRare(SmallShared(np.array([5], dtype=np.uint64)))(rows)
    assert drops.schema.equals(DROPS)
    assert drops.to_pydict() == {"rank": [6, 11], "other": [-1, -1], "value": [2.0, 3.0]}
    assert (
        DropRare(SmallShared(np.array([5], dtype=np.uint64)))(
            Rows(0, "s", rows.rows, rows.table, True)
        ).num_rows
        == 0
    )


def test_places_in_an_ascending_array() -> None:
    draw = np.random.default_rng(0)
    ordered = np.unique(draw.integers(0, 60, 30).astype(np.uint64))
    wanted = np.array([*range(70), 2**64 - 1], dtype=np.uint64)
    listed = ordered.tolist()
    assert places_in(ordered, wanted).tolist() == [
        listed.index(one) if one in listed else -1 for one in wanted.tolist()
    ]
    assert places_in(ordered[:0], wanted).tolist() == [-1] * 71


def test_words_are_counted_where_lists_are_slices() -> None:
    table = lists_of([1], [2, 3], [4]).slice(1, 1)
    counted = count_ngrams(SmallCorpus({"a": table}), False)
    assert Counter(key for key, _ in _pairs(counted.tables[0]) if key < 100) == {2: 1, 3: 1}
