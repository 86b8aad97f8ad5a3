"""The filters: each limit at its edge, and that a verdict is a replay of a stored score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters import FILTERS, Facts, get_filter, judge, score, score_names
from data_filters.errors import InputError
from data_filters.image import ImageHeader
from data_filters.verdict import Drop, Keep

LIMITS = {"min_side": 200, "max_aspect": 10, "min_words": 3, "max_words": 100}


@pytest.mark.parametrize(
    ("name", "width", "height", "words", "value", "kept"),
    [
        ("small_image", 201, 500, 5, 201, True),
        ("small_image", 200, 500, 5, 200, False),  # the paper: both sides above 200 px
        ("small_image", 500, 200, 5, 200, False),
        ("extreme_aspect", 3000, 300, 5, 10, True),
        ("extreme_aspect", 300, 3001, 5, 3001 / 300, False),
        ("few_words", 300, 300, 3, 3, True),
        ("few_words", 300, 300, 2, 2, False),
        ("few_words", 300, 300, 0, 0, False),
        ("many_words", 300, 300, 100, 100, True),
        ("many_words", 300, 300, 101, 101, False),
    ],
)
def test_limits_at_their_edge(name, width, height, words, value, kept):
    scores = score(Facts(ImageHeader(width, height, "jpeg"), " ".join(["word"] * words)))
    expected = Keep(value) if kept else Drop(name, value, LIMITS[FILTERS[name].limit_name])
    assert judge(name, scores, LIMITS) == expected


@given(st.sampled_from(sorted(FILTERS)), st.integers(0, 500), st.integers(0, 500))
def test_a_stricter_limit_never_keeps_more(name, value, limit):
    chosen = FILTERS[name]
    stricter = limit - 1 if chosen.at_most else limit + 1
    assert chosen.keeps(value, limit) or not chosen.keeps(value, stricter)


def test_every_filter_judges_a_known_score_by_one_limit():
    for chosen in FILTERS.values():
        assert chosen.score in score_names()
        assert [chosen.above, chosen.at_least, chosen.at_most].count(None) == 2


def test_unknown_filter_names_the_known_ones():
    with pytest.raises(
        InputError, match="unknown filter 'smal_image'; known are small_image, extreme_aspect"
    ):
        get_filter("smal_image")
