"""Decisions and their numbers, counted by hand."""

import numpy as np
import pyarrow as pa
from curation import judged, kept_keys, rejected, scores_of

from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.decide import decide, first_step, others_of, values_of
from pipelines.curate.plan import make_plan


def pair(key: str, side: float, aspect: float, words: float) -> dict:
    return {"key": key, "shorter_side": side, "aspect_ratio": aspect, "words": words}


PAIRS = [
    pair("good", 300, 1, 10),
    pair("small", 100, 1, 10),
    pair("small and long", 100, 11, 10),
    pair("small, long, silent", 100, 11, 0),
    pair("long", 300, 11, 10),
    pair("talkative", 300, 1, 101),
]
CONFIG = CurateConfig()


def test_seen_failed_alone_and_in_order():
    scores = scores_of(PAIRS, [{"reason": "no_image"}, {"reason": "no_image"}])
    decision = judged(scores, CONFIG)
    assert kept_keys(scores, decision) == ["good"]
    assert rejected(scores, decision, CONFIG) == [
        ("small", "small_image"),
        ("small and long", "small_image"),
        ("small, long, silent", "small_image"),
        ("long", "extreme_aspect"),
        ("talkative", "many_words"),
    ]
    counts = {
        one.name: (one.seen, one.rejected, one.rejected_alone, one.rejected_in_order)
        for one in decision.funnel.filters
    }
    assert counts == {
        "small_image": (6, 3, 1, 3),
        "extreme_aspect": (3, 3, 1, 1),
        "few_words": (2, 1, 0, 0),
        "many_words": (2, 1, 1, 1),
    }
    funnel = decision.funnel
    assert (funnel.samples, funnel.quarantined, funnel.pairs, funnel.kept) == (8, 2, 6, 1)
    assert funnel.quarantine == {"no_image": 2}


def test_bits_name_every_rule_that_fails_and_first_the_first():
    decision = judged(scores_of(PAIRS), CONFIG)
    assert decision.bits.tolist() == [0, 0b0001, 0b0011, 0b0111, 0b0010, 0b1000]
    assert decision.first.tolist() == [-1, 0, 0, 0, 1, 3]
    assert decision.kept.tolist() == [0]


def test_the_first_step_is_the_lowest_of_all_63_bits():
    powers = np.int64(1) << np.arange(63, dtype=np.int64)
    assert first_step(powers).tolist() == list(range(63))
    assert first_step(powers | (np.int64(1) << np.int64(62))).tolist() == list(range(63))
    assert first_step(np.zeros(2, np.int64)).tolist() == [-1, -1]


def test_a_score_that_is_not_a_number_fails():
    for limits in ({}, {"filters": ["many_words"]}, {"filters": ["extreme_aspect"], "max_aspect": 1e9}):
        scores = scores_of(
            [pair("nan", float("nan"), float("nan"), float("nan"))], config=CurateConfig(**limits)
        )
        decision = judged(scores, CurateConfig(**limits))
        assert decision.kept.tolist() == []
        assert decision.bits[0] == (1 << len(decision.funnel.filters)) - 1


def test_the_order_and_the_choice_of_filters_are_the_recipe_s():
    config = CurateConfig(filters=["extreme_aspect", "small_image"])
    scores = scores_of(PAIRS, config=config)
    decision = judged(scores, config)
    assert kept_keys(scores, decision) == ["good", "talkative"]
    assert [(one.name, one.rejected_in_order) for one in decision.funnel.filters] == [
        ("extreme_aspect", 3),
        ("small_image", 1),
    ]


def test_other_limits_are_replayed_on_the_same_scores():
    assert len(judged(scores_of(PAIRS), CurateConfig(min_side=99, max_aspect=11)).kept) == 4


def test_a_row_of_the_quarantine_stands_for_as_many_samples_as_it_says():
    rows = [
        {"reason": "broken_shard", "count": 54},
        {"reason": "no_image"},
        {"reason": "sparse_member", "count": 0},
    ]
    funnel = judged(scores_of(PAIRS, rows), CONFIG).funnel
    assert funnel.quarantine == {"broken_shard": 54, "no_image": 1}
    assert (funnel.samples, funnel.quarantined) == (61, 55)


def test_values_and_accounts_belong_to_the_rows_that_are_asked_for():
    """The drops of a rule over the corpus are given with ranks of shard 5, out of the order of the question."""
    plan, base = make_plan(CONFIG), 5 << 32
    drops = pa.table([[base + 1, base + 4], [base, -1], [0.25, 0.5]], schema=DROPS)
    decision = decide(scores_of(PAIRS), plan, {4: drops})
    assert decision.bits.tolist() == [0, 0b10001, 0b00011, 0b00111, 0b10010, 0b01000]
    rows = np.array([4, 0, 1])
    assert others_of(decision, 4, rows) == [-1, None, base]
    assert others_of(decision, 0, rows) == [None, None, None]
    assert values_of(scores_of(PAIRS), decision, 0, plan.steps[0], rows) == [300.0, 300.0, 100.0]
