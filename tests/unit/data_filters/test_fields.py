"""Values of JSON fields, by hand."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters.fields import MOST_TEXT, Value, host_of, look_up, normal_host, parents, value_of


def same(found: Value, expected: Value) -> bool:
    numbers = (found.number, expected.number)
    return (found.text, found.fault) == (expected.text, expected.fault) and (
        numbers[0] == numbers[1] or all(map(math.isnan, numbers))
    )


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (None, Value()),
        ("CC BY 4.0", Value("CC BY 4.0")),
        (" a\n", Value(" a\n")),
        ("", Value("")),
        ("3", Value("3")),
        (3, Value("3", 3.0)),
        (0.5, Value("0.5", 0.5)),
        (True, Value("true")),
        (math.inf, Value("inf", math.inf)),
        (10**400, Value("1" + "0" * 400, math.inf)),
        (-(10**400), Value("-1" + "0" * 400, -math.inf)),
        (math.nan, Value(fault="NaN")),
        ([1], Value(fault="a list, neither text nor number")),
        ({}, Value(fault="an object, neither text nor number")),
        ("\ud800", Value(fault="a text with a lone surrogate")),
        ("x" * (MOST_TEXT + 1), Value(fault="a text of 10001 characters; 10000 at most are compared")),
    ],
)
def test_values_by_hand(found, value):
    assert same(value_of(found), value)


def test_an_integer_that_python_does_not_write_is_a_fault():
    assert same(value_of(10**5000), Value(fault="an integer of more than 4,300 digits"))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://User:pw@WWW.Example.com.:8080/a?b#c", "www.example.com"),
        ("//cdn.example.com/x", "cdn.example.com"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://例え。テスト/", "xn--r8jz45g.xn--zckzah"),
        ("http://[::1]/", "::1"),
        (" http://a.b ", "a.b"),
    ],
)
def test_hosts_by_hand(url, host):
    assert same(host_of(url), Value(host))


@pytest.mark.parametrize(
    "url",
    [
        "example.com/x",
        "",
        "http://",
        "http://[::1",
        "data:image/png;base64,AA",
        7,
        True,
        [],
        "\udc00",
        math.nan,
        "http://" + "é" * 300 + ".com",
    ],
)
def test_what_has_no_host_is_a_fault(url):
    assert host_of(url).fault
    assert host_of(url).text is None


def test_paths():
    metadata = {"a": {"b": {"c": 1}}, "a.b": 2, "d": None, "e": [1]}
    assert look_up(metadata, "a.b") == 2
    assert look_up(metadata, "a.b.c") == 1
    assert [look_up(metadata, path) for path in ("d", "d.x", "e.0", "a.z", "z", "a..b", ".")] == [None] * 7
    assert parents("a.b.org") == ["a.b.org", "b.org", "org"]
    assert normal_host("A.B.") == "a.b"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=6,
)


@given(JSON, st.text(max_size=5))
def test_nothing_in_json_raises(found, path):
    for read in (value_of, host_of):
        value = read(found)
        assert not (value.fault and value.text is not None)
        if value.text is not None:
            value.text.encode("utf-8")
        value.fault.encode("utf-8")
    look_up(json.loads(json.dumps({"a": found, "b": {"a": found}})), path)
