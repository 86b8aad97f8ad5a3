"""A filter has one limit; the comparison and its words follow from which of the three it is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters.filter import Facts, Filter, Limit
from data_filters.image import ImageHeader

LIMIT = Limit("edge", 5, "apples", "how many apples")


def measure(facts: Facts) -> float:
    return float(facts.image.width)


@pytest.mark.parametrize(
    ("side", "kept", "rule"),
    [
        ("above", [6, 7], "keeps: above 5 apples"),
        ("at_least", [5, 6, 7], "keeps: at least 5 apples"),
        ("at_most", [3, 4, 5], "keeps: at most 5 apples"),
    ],
)
def test_comparison_and_words(side, kept, rule):
    chosen = Filter("apples", measure, **{side: LIMIT})
    assert [value for value in range(3, 8) if chosen.keeps(value, 5)] == kept
    assert chosen.rule(5) == rule
    assert chosen.rule(2.5) == rule.replace("5", "2.5")
    assert (chosen.limit, chosen.limit_name) == (LIMIT, "edge")
    assert chosen.measure(Facts(ImageHeader(8, 9, "png"), "")) == 8


def test_a_rule_names_its_quantity_and_may_have_no_unit():
    limit = Limit("edge", 5, "", "longest edge", quantity="edge")
    assert Filter("edge", measure, at_least=limit).rule(7.5) == "keeps: edge at least 7.5"


@pytest.mark.parametrize("limits", [{}, {"above": LIMIT, "at_most": LIMIT}])
def test_not_one_limit_is_refused(limits):
    with pytest.raises(ValueError, match=f"has {len(limits)} limits; give above, at_least or at_most"):
        Filter("apples", measure, **limits)


@pytest.mark.parametrize("side", ["above", "at_least", "at_most"])
def test_an_array_is_judged_as_its_numbers_are_and_nan_never_passes(side):
    chosen = Filter("apples", measure, **{side: LIMIT})
    values = np.array([3, 4.99, 5, 5.01, 7, np.nan, np.inf, -np.inf])
    kept = chosen.keeps(values, 5)
    assert kept.dtype == np.bool_
    assert kept.tolist() == [chosen.keeps(value, 5) for value in values.tolist()]
    assert not chosen.keeps(math.nan, 5)


def test_a_limit_without_a_default_has_a_type():
    assert Limit("edge", None, "", "", number=int).number_type is int
    assert (Limit("edge", 5, "", "").number_type, Limit("edge", 5.0, "", "").number_type) == (int, float)
    with pytest.raises(ValueError, match="the limit edge has neither a default nor a type"):
        Limit("edge", None, "", "")


@given(st.floats(-9, 9), st.floats(-9, 9))
def test_the_upper_limit_is_the_opposite_of_above(value, limit):
    above, at_most = Filter("x", measure, above=LIMIT), Filter("x", measure, at_most=LIMIT)
    assert above.keeps(value, limit) != at_most.keeps(value, limit)
