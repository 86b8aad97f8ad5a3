"""The filters: each limit at its edge, and that a stricter limit never keeps more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters import FILTERS, Facts, get_filter, score_names
from data_filters.errors import InputError
from data_filters.image import ImageHeader

LIMITS = {
    "min_side": 200,
    "min_side_inclusive": 200,
    "max_aspect": 10,
    "min_pixels": 90_000,
    "max_pixels": 90_000,
    "min_image_bytes": 5000,
    "max_image_bytes": 6000,
    "min_words": 3,
    "max_words": 100,
    "min_characters": 6,
    "max_characters": 1000,
    "min_letter_share": 0.5,
    "max_repetition": 0.2,
    "max_urls": 0,
    "max_file_names": 0,
}


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
    chosen = get_filter(name)
    assert chosen.measure(Facts(ImageHeader(width, height, "jpeg"), " ".join(["word"] * words))) == value
    assert chosen.keeps(value, LIMITS[chosen.limit_name]) == kept


@given(st.sampled_from(sorted(FILTERS)), st.integers(0, 500), st.integers(0, 500))
def test_a_stricter_limit_never_keeps_more(name, value, limit):
    chosen = FILTERS[name]
    stricter = limit - 1 if chosen.at_most else limit + 1
    assert chosen.keeps(value, limit) or not chosen.keeps(value, stricter)


@pytest.mark.parametrize(
    ("name", "caption", "data", "value", "kept"),
    [
        ("small_image_inclusive", "", 0, 300, True),
        ("few_pixels", "", 0, 90_000, True),
        ("many_pixels", "", 0, 90_000, True),
        ("small_file", "", 5000, 5000, True),
        ("small_file", "", 4999, 4999, False),
        ("large_file", "", 6000, 6000, True),
        ("large_file", "", 6001, 6001, False),
        ("few_characters", "a cats", 0, 6, True),
        ("few_characters", "a cat", 0, 5, False),
        ("many_characters", "a" * 1000, 0, 1000, True),
        ("many_characters", "a" * 1001, 0, 1001, False),
        ("few_letters", "a 1", 0, 0.5, True),
        ("few_letters", "a 12", 0, 1 / 3, False),
        ("repetition", "a b c d a", 0, 0.2, True),
        ("repetition", "a b c a", 0, 0.25, False),
        ("urls", "a dog", 0, 0, True),
        ("urls", "a dog of www.example.com", 0, 1, False),
        ("file_names", "a dog", 0, 0, True),
        ("file_names", "IMG_1234.jpg", 0, 1, False),
    ],
)
def test_filters_that_are_off_by_default_at_their_edge(name, caption, data, value, kept):
    chosen = get_filter(name)
    found = chosen.measure(Facts(ImageHeader(300, 300, "jpeg"), caption, image_bytes=data))
    assert found == pytest.approx(value)
    assert chosen.keeps(found, LIMITS[chosen.limit_name]) == kept


def test_only_the_filters_of_the_paper_judge_by_default():
    defaults = {chosen.limit_name: chosen.limit.default for chosen in FILTERS.values()}
    assert {name: value for name, value in defaults.items() if value is not None} == {
        "min_side": 200,
        "max_aspect": 10.0,
        "min_words": 3,
        "max_words": 100,
    }
    assert set(LIMITS) == set(defaults)


def test_every_filter_judges_a_known_score_by_one_limit():
    for chosen in FILTERS.values():
        assert chosen.score in score_names()
        assert [chosen.above, chosen.at_least, chosen.at_most].count(None) == 2


def test_unknown_filter_names_the_known_ones():
    with pytest.raises(
        InputError, match="unknown filter 'smal_image'; known are small_image, extreme_aspect"
    ):
        get_filter("smal_image")
