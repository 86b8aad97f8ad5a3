"""Fields against a plain reading of each JSON value in Python."""

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_filters import Facts
from data_filters.image import ImageHeader
from pipelines.curate.rules.field import FieldRule, domain_of_entry

ABSENT = object()
VALUES = [
    ABSENT,
    None,
    "CC BY 4.0",
    "cc by 4.0",
    "",
    3,
    3.0,
    -1,
    0.5,
    "3",
    True,
    [3],
    {"a": 3},
    math.nan,
    math.inf,
    10**400,
]


def scored(rule: FieldRule, values: list[object]) -> pa.Table:
    (group,) = rule.groups()
    facts = [
        Facts(ImageHeader(3, 4, "png"), "", b"", {} if value is ABSENT else {rule.field: value})
        for value in values
    ]
    return pa.Table.from_batches([group.measure(facts)])


def passes(value: object, allow=None, deny=(), at_least=None, at_most=None, missing="drop") -> bool:
    """What the documentation says, a value at a time."""
    if value is ABSENT or value is None:
        return missing == "keep"
    if isinstance(value, list | dict) or value != value:
        return False
    text = (
        value
        if isinstance(value, str)
        else {True: "true", False: "false"}[value]
        if isinstance(value, bool)
        else str(value)
    )
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return (
        (allow is None or text in allow)
        and text not in deny
        and (at_least is None or (real and value >= at_least))
        and (at_most is None or (real and value <= at_most))
    )


OPTIONS = st.fixed_dictionaries(
    {"missing": st.sampled_from(["keep", "drop"])},
    optional={
        "allow": st.lists(st.sampled_from(["CC BY 4.0", "3", "true", ""]), min_size=1, max_size=3).map(tuple),
        "deny": st.lists(st.sampled_from(["CC BY 4.0", "3.0", "0.5"]), min_size=1, max_size=3).map(tuple),
        "at_least": st.sampled_from([-1.0, 0.5, 3.0]),
        "at_most": st.sampled_from([3.0, 4.0]),
    },
).filter(lambda options: len(options) > 1)


@given(OPTIONS)
def test_values_of_any_kind_against_a_plain_reading(options):
    rule = FieldRule(field="x", **options)
    table = scored(rule, VALUES)
    assert rule.fails(table).tolist() == [not passes(value, **options) for value in VALUES]
    assert all(isinstance(value, str) for value in rule.values(table))


def test_domains_match_the_hosts_below_them():
    urls = ["https://a.Example.com/x", "http://example.com.", "https://notexample.com", "https://example.com.evil.org",
            "no url", None, 7, "https://bücher.example/"]  # fmt: skip
    rule = FieldRule(field="url", domain=True, deny=("example.com", "bücher.example"))
    table = scored(rule, urls)
    assert rule.fails(table).tolist() == [True, True, False, False, True, True, True, True]
    assert rule.values(table)[:5] == [
        "a.example.com",
        "example.com",
        "notexample.com",
        "example.com.evil.org",
        "a URL without a host",
    ]
    allow = FieldRule(field="url", domain=True, allow=("EXAMPLE.com",), missing="keep")
    assert allow.fails(scored(allow, urls)).tolist() == [False, False, True, True, True, False, True, True]


def test_entries_of_a_recipe_may_be_numbers():
    rule = FieldRule(field="x", allow=(3, True, 0.5))
    assert rule.allow == ("3", "true", "0.5")
    assert rule.fails(scored(rule, [3, True, 0.5, "3", 1])).tolist() == [False, False, False, False, True]


def test_words():
    rule = FieldRule(field="license", deny=tuple("abcdefg"), at_least=2, missing="keep")
    assert rule.words() == "keeps: license none of a, b, c, d, e and 2 more, at least 2, or it is missing"
    assert FieldRule(field="u", domain=True, allow=("a.b",)).words() == "keeps: domain of u one of a.b"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing to compare with"),
        ({"allow": ()}, "allow is empty"),
        ({"at_least": 3, "at_most": 2}, "no pair could pass"),
        ({"domain": True, "at_least": 1}, "a domain is no number"),
        ({"domain": True, "deny": ("https://a.b/c",)}, "is no domain"),
        ({"at_least": math.nan}, "finite"),
    ],
)
def test_options_that_no_pair_can_meet_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        FieldRule(field="x", **options)


@pytest.mark.parametrize("entry", ["", "*.a.b", "a b", "a..b", ".a", "http://a", "a:80", "é" * 300])
def test_what_is_no_domain(entry):
    with pytest.raises(ValueError, match="is no domain"):
        domain_of_entry(entry)
