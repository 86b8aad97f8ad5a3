"""A filter has one limit; the comparison and its words follow from which of the three it is."""

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


@given(st.floats(-9, 9), st.floats(-9, 9))
def test_the_upper_limit_is_the_opposite_of_above(value, limit):
    above, at_most = Filter("x", measure, above=LIMIT), Filter("x", measure, at_most=LIMIT)
    assert above.keeps(value, limit) != at_most.keeps(value, limit)
