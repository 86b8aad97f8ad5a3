"""The rule `top_fraction` against a plain sort."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_corpus import SmallCorpus

from data_filters.errors import InputError
from pipelines.curate.rules.top_fraction import KeptOf, TopFraction

SCORES = st.one_of(
    st.sampled_from([0.0, -0.0, 0.25, 0.5, -1.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324]), st.floats()
)
SHARDS = st.lists(st.lists(SCORES, max_size=12), min_size=1, max_size=5)


def kept_by_sorting(shards: list[list[float]], number: int) -> set[int]:
    ranked = [
        (math.isnan(score), 0.0 if math.isnan(score) else -score, shard * 2**32 + row)
        for shard, scores in enumerate(shards)
        for row, score in enumerate(scores)
    ]
    return {rank for _, _, rank in sorted(ranked)[:number]}


def kept_by_rule(corpus: SmallCorpus, fraction: float) -> set[int]:
    TopFraction(kind="top_fraction", score="clip", fraction=fraction).decide(corpus)
    ranks = {rank for rows in corpus.population() if not rows.is_earlier for rank in rows.ranks().tolist()}
    return ranks - set(corpus.drops)


def corpus_of(
    shards: list[list[float]], seed: int | None = None, kind: pa.DataType | None = None
) -> SmallCorpus:
    tables = {
        f"{number:05d}": pa.table({"clip": pa.array(scores, kind or pa.float64())})
        for number, scores in enumerate(shards)
    }
    return SmallCorpus(tables, seed=seed)


@settings(max_examples=150, deadline=None)
@given(SHARDS, st.sampled_from([0.001, 0.1, 0.3, 0.5, 0.999, 1.0]), st.integers(0, 2**32))
def test_keeps_what_a_sort_puts_first(shards: list[list[float]], fraction: float, seed: int) -> None:
    number = math.ceil(Fraction(str(fraction)) * sum(map(len, shards)))
    assert kept_by_rule(corpus_of(shards, seed), fraction) == kept_by_sorting(shards, number)


@pytest.mark.parametrize("seed", range(3))
def test_ties_over_many_shards_go_to_the_earlier_pairs(seed: int) -> None:
    draw = np.random.default_rng(seed)
    shards = [(draw.integers(0, 4, size) / 4).tolist() for size in draw.integers(0, 2000, 20)]
    for fraction in (0.1, 0.37, 0.9):
        expected = kept_by_sorting(shards, math.ceil(Fraction(str(fraction)) * sum(map(len, shards))))
        assert kept_by_rule(corpus_of(shards, seed), fraction) == expected


def test_drops_carry_their_score() -> None:
    corpus = corpus_of([[0.5, 0.25], [0.75]])
    assert kept_by_rule(corpus, 0.4) == {0, 2**32}
    assert corpus.drops == {1: (-1, 0.25)}


def test_a_null_is_a_nan_and_integers_are_scores() -> None:
    assert kept_by_rule(corpus_of([[3, None, 7]], kind=pa.int32()), 0.5) == {0, 2}
    assert kept_by_rule(corpus_of([[0.5, None, 0.25]], kind=pa.float32()), 0.5) == {0, 2}


def test_a_score_that_is_no_number_is_refused_in_one_line() -> None:
    corpus = SmallCorpus({"0": pa.table({"clip": ["jpeg", "png"]})})
    with pytest.raises(InputError, match="score is clip, a column of string"):
        kept_by_rule(corpus, 0.5)


def test_an_earlier_output_is_neither_counted_nor_dropped() -> None:
    new, earlier = pa.table({"clip": [0.1, 0.2, 0.3, 0.4]}), pa.table({"clip": [0.9] * 10})
    assert kept_by_rule(SmallCorpus({"a": new}, {"b": earlier}), 0.5) == {2, 3}
    assert kept_by_rule(SmallCorpus({"a": new.slice(0, 0)}, {"b": earlier}), 0.5) == set()


def test_the_number_kept_is_that_of_the_decimal_fraction() -> None:
    assert [KeptOf(0.1)(n) for n in (1, 10, 30, 31)] == [
        1,
        1,
        3,
        4,
    ]  # 0.1 * 30 is 3.0000000000000004 in floats
    assert KeptOf(1e-09)(10**10) == 10
    assert KeptOf(0.3)(10**10) == 3 * 10**9


@pytest.mark.parametrize("fraction", [0, -0.5, 1.01, math.nan])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValidationError):
        TopFraction(kind="top_fraction", score="clip", fraction=fraction)


def test_words() -> None:
    assert TopFraction(kind="top_fraction", score="itm", fraction=0.3).words() == (
        "keeps: the 0.3 of pairs with the highest itm"
    )
