"""The engine of one process against loops over rows."""

import pytest
from corpus_rules import (
    Counting,
    all_but_first,
    captions,
    check_rules,
    drop_narrow,
    key_counts,
    rows_of,
    small_corpus,
)

from pipelines.curate.corpus.in_process import InProcess


@pytest.mark.parametrize("seed", range(5))
def test_rules_one_after_the_other_drop_what_loops_over_rows_find(seed):
    source = small_corpus(7, seed)
    check_rules(InProcess(source), source, None)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_of_earlier_outputs_count_and_are_not_dropped(seed):
    source, earlier = small_corpus(7, seed), small_corpus(3, seed + 100)
    check_rules(InProcess(source, earlier), source, earlier)


def test_a_corpus_without_rows_drops_nothing():
    source = small_corpus(1, 0)
    engine = InProcess(source)
    assert source.rows(0) == 0
    assert engine.drops(engine.run(drop_narrow), 0).num_rows == 0


def test_a_rule_that_drops_twice_is_refused():
    def twice(corpus):
        drop_narrow(corpus)
        drop_narrow(corpus)

    with pytest.raises(AssertionError, match="one call"):
        InProcess(small_corpus(3, 0)).run(twice)


def test_counts_are_those_of_the_shuffle_by_rule():
    source = small_corpus(7, 1)
    engine = InProcess(source)
    rules = [
        engine.run(drop_narrow),
        engine.run(lambda corpus: corpus.shuffle(["caption"], captions, all_but_first)),
        engine.run(lambda corpus: corpus.collect(["caption"], captions, key_counts)),
    ]
    assert [engine.counts(rule) for rule in rules] == [{}, {}, {}]
    whole = InProcess(source)
    rule = whole.run(lambda corpus: corpus.shuffle(["caption"], captions, Counting("rows")))
    assert whole.counts(rule) == {"rows": len(rows_of(source))}
