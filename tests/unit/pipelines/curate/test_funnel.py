"""The funnel: sums, JSON and the table, by hand."""

import json
from dataclasses import asdict

import pytest
from curation import judged, scores_of
from hypothesis import given
from hypothesis import strategies as st

from pipelines.curate.config import CurateConfig
from pipelines.curate.funnel import Funnel, add_funnels, empty_funnel, funnel_from_json, funnel_table
from pipelines.curate.plan import make_plan

PAIRS = [
    {"key": "good", "shorter_side": 300, "aspect_ratio": 1, "words": 10},
    {"key": "small", "shorter_side": 100, "aspect_ratio": 1, "words": 10},
    {"key": "small and long", "shorter_side": 100, "aspect_ratio": 11, "words": 10},
    {"key": "small, long, silent", "shorter_side": 100, "aspect_ratio": 11, "words": 0},
    {"key": "long", "shorter_side": 300, "aspect_ratio": 11, "words": 10},
    {"key": "talkative", "shorter_side": 300, "aspect_ratio": 1, "words": 101},
]


PLAN = make_plan(CurateConfig())


def funnel_of(rows: list[dict], bad: list[dict] | tuple[()] = ()) -> Funnel:
    return judged(scores_of(rows, bad), CurateConfig()).funnel


def test_funnels_of_parts_add_up_to_the_funnel_of_all():
    bad = [{"reason": "b"}, {"reason": "a"}]
    whole = funnel_of(PAIRS, bad)
    parts = [funnel_of(PAIRS[:2], bad[:1]), funnel_of(PAIRS[2:], bad[1:])]
    assert add_funnels(parts, PLAN) == whole
    assert funnel_from_json(asdict(whole)) == whole


@given(st.lists(st.sampled_from(PAIRS), max_size=12), st.integers(0, 12))
def test_every_cut_into_two_shards_adds_up_and_survives_json(pairs, cut):
    whole = funnel_of(pairs)
    parts = [funnel_of(pairs[:cut]), funnel_of(pairs[cut:])]
    assert add_funnels(parts, PLAN) == whole
    assert funnel_from_json(json.loads(json.dumps(asdict(whole)))) == whole
    assert whole.kept + sum(counts.rejected_in_order for counts in whole.filters) == len(pairs)


def test_the_empty_funnel_has_a_line_for_every_active_filter_in_order():
    plan = make_plan(CurateConfig(filters=["many_words", "small_image"], max_words=7))
    assert [(one.name, one.words, one.seen) for one in empty_funnel(plan).filters] == [
        ("many_words", "keeps: at most 7 words", 0),
        ("small_image", "keeps: shorter side above 200 px", 0),
    ]
    assert add_funnels([], plan) == empty_funnel(plan)


def test_funnels_of_other_filters_are_not_added():
    other = empty_funnel(make_plan(CurateConfig(filters=["few_words"])))
    with pytest.raises(ValueError, match="zip"):
        add_funnels([other], PLAN)


def test_the_table_by_hand():
    funnel = funnel_of(PAIRS, [{"reason": "no_image"}, {"reason": "no_image"}])
    head, rows = funnel_table(funnel)
    assert head == ["filter", "rule", "pairs in", "dropped", "fail", "fail only this"]
    assert rows == [
        ["small_image", "keeps: shorter side above 200 px", "6", "3", "3", "1"],
        ["extreme_aspect", "keeps: aspect ratio at most 10", "3", "1", "3", "1"],
        ["few_words", "keeps: at least 3 words", "2", "0", "1", "0"],
        ["many_words", "keeps: at most 100 words", "2", "1", "1", "1"],
        ["kept", "", "1", "", "", ""],
        ["not readable", "no_image", "", "2", "", ""],
    ]


def test_large_numbers_are_grouped():
    assert funnel_table(Funnel(kept=1234567))[1] == [["kept", "", "1,234,567", "", "", ""]]
