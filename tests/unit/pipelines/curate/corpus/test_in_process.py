"""The engine of one process against loops over rows."""

import pytest
from corpus_rules import check_rules, drop_narrow, small_corpus

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
