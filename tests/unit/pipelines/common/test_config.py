"""What decides the output is in the hash, wherever it stands; differences name dotted keys."""

import hashlib
import json
from itertools import combinations
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from pipelines.common.config import (
    NO_EFFECT_ON_OUTPUT,
    Difference,
    Section,
    config_hash,
    differences,
    one_of,
    output_settings,
)


class Part(Section):
    size: int = 3
    threads: int = Field(1, json_schema_extra=NO_EFFECT_ON_OUTPUT)


class Whole(Section):
    part: Part = Part()
    maybe: Part | None = None
    named: dict[str, Part] = Field(default_factory=dict)
    numbered: dict[int, Part] = Field(default_factory=dict)
    listed: tuple[Part, ...] = ()
    nested: dict[str, tuple[Part, ...]] = Field(default_factory=dict)
    limits: tuple[float, float] = (0.5, 1.0)
    workers: int | None = Field(None, json_schema_extra=NO_EFFECT_ON_OUTPUT)


def whole(size: int, threads: int, workers: int | None) -> Whole:
    part = Part(size=size, threads=threads)
    return Whole(
        part=part,
        maybe=part,
        named={"b": part, "a": Part()},
        numbered={7: part},
        listed=(Part(), part),
        nested={"x": (part,)},
        workers=workers,
    )


def test_what_has_no_effect_on_the_output_is_left_out_everywhere():
    assert output_settings(whole(9, 5, 2)) == {
        "part": {"size": 9},
        "maybe": {"size": 9},
        "named": {"b": {"size": 9}, "a": {"size": 3}},
        "numbered": {"7": {"size": 9}},
        "listed": [{"size": 3}, {"size": 9}],
        "nested": {"x": [{"size": 9}]},
        "limits": [0.5, 1.0],
    }
    assert config_hash(whole(9, 5, 2)) == config_hash(whole(9, 1, None))


def test_every_other_change_changes_the_hash():
    part = Part(size=4)
    models = [
        Whole(),
        Whole(part=part),
        Whole(maybe=part),
        Whole(named={"a": part}),
        Whole(named={"b": part}),
        Whole(numbered={1: part}),
        Whole(listed=(part,)),
        Whole(listed=(part, part)),
        Whole(nested={"x": (part,)}),
        Whole(limits=(0.5, 2.0)),
    ]
    for one, other in combinations(models, 2):
        assert config_hash(one) != config_hash(other)


def test_the_hash_is_sha256_of_sorted_json():
    text = '{"part":{"size":3},"size":2}'

    class Small(Section):
        size: int = 2
        part: Part = Part()

    assert config_hash(Small()) == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_sections_are_closed_and_fixed():
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Part(siz=3)
    with pytest.raises(ValidationError, match="frozen"):
        Part().size = 4


def test_differences_by_hand():
    theirs = {"a": 1, "b": {"c": 2, "d": {"e": [1]}}, "gone": {"x": 1}, "same": None}
    mine = {"a": 1, "b": {"c": 3, "d": {"e": [1, 2]}}, "new": False, "same": None}
    assert differences(theirs, mine) == [
        Difference("b.c", 2, 3),
        Difference("b.d.e", [1], [1, 2]),
        Difference("gone", {"x": 1}, None),
        Difference("new", None, False),
    ]


keys = st.sampled_from("abc")
values = st.recursive(
    st.none() | st.integers(0, 3), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(keys, values, max_size=3), st.dictionaries(keys, values, max_size=3))
def test_no_difference_means_equal_but_for_what_is_none(theirs, mine):
    def bare(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: bare(inner) for key, inner in value.items() if inner is not None}

    assert (differences(theirs, mine) == []) == (bare(theirs) == bare(mine))
    assert differences(mine, theirs) == [
        Difference(d.key, d.mine, d.theirs) for d in differences(theirs, mine)
    ]
    assert json.dumps(differences(theirs, theirs)) == "[]"


TABLE = {"a": 1, "b": 2}


class Chosen(Section):
    name: Annotated[str | None, one_of(TABLE)] = None


def test_a_name_is_one_of_a_registry_as_it_is_now(monkeypatch):
    assert Chosen(name="a").name == "a"
    assert Chosen().name is None
    with pytest.raises(ValidationError, match="allowed are a, b"):
        Chosen(name="c")
    monkeypatch.setitem(TABLE, "c", 3)
    assert Chosen(name="c").name == "c"
