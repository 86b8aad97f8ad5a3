"""Decisions and their numbers, counted by hand."""

from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import decide


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


def test_seen_failed_alone_and_in_order():
    decision = decide(PAIRS, [{"reason": "no_image"}, {"reason": "no_image"}], CurateConfig())
    assert [row["key"] for row in decision.kept] == ["good"]
    assert [(one.row["key"], one.drop.reason) for one in decision.rejected] == [
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


def test_the_order_and_the_choice_of_filters_are_the_recipe_s():
    decision = decide(PAIRS, [], CurateConfig(filters=["extreme_aspect", "small_image"]))
    assert [row["key"] for row in decision.kept] == ["good", "talkative"]
    assert [(one.name, one.rejected_in_order) for one in decision.funnel.filters] == [
        ("extreme_aspect", 3),
        ("small_image", 1),
    ]


def test_other_limits_are_replayed_on_the_same_scores():
    assert len(decide(PAIRS, [], CurateConfig(min_side=99, max_aspect=11)).kept) == 4


def test_a_row_of_the_quarantine_stands_for_as_many_samples_as_it_says():
    rows = [
        {"reason": "broken_shard", "count": 54},
        {"reason": "no_image"},
        {"reason": "sparse_member", "count": 0},
    ]
    funnel = decide(PAIRS, rows, CurateConfig()).funnel
    assert funnel.quarantine == {"broken_shard": 54, "no_image": 1}
    assert (funnel.samples, funnel.quarantined) == (61, 55)
