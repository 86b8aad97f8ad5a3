"""The n-th smallest of keys in parts against a sort of all."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.curate.corpus.nth_smallest import Place, add, count, count_digits, nth_smallest

KEY = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**16, 2**48, 2**64 - 1, 2**63]))
PARTS = st.lists(st.lists(KEY, max_size=10), min_size=1, max_size=4)


def found(parts: list[list[int]], nth: int) -> Place | None:
    arrays = [np.array(part, dtype=np.uint64) for part in parts]
    return nth_smallest(
        lambda prefix, digit: reduce(add, [count_digits(keys, prefix, digit) for keys in arrays]),
        lambda _: nth,
    )


@settings(max_examples=100, deadline=None)
@given(PARTS, st.data())
def test_it_is_what_a_sort_puts_there(parts: list[list[int]], data: st.DataObject) -> None:
    ordered = sorted(key for part in parts for key in part)
    if not ordered:
        assert found(parts, 1) is None
        return
    nth = data.draw(st.integers(1, len(ordered)))
    key = ordered[nth - 1]
    assert found(parts, nth) == Place(key, ordered.count(key), nth - ordered.index(key))


def test_the_number_wanted_is_told_from_the_number_of_keys() -> None:
    keys = np.arange(100, dtype=np.uint64)
    place = nth_smallest(lambda prefix, digit: count_digits(keys, prefix, digit), lambda total: total // 4)
    assert place == Place(24, 1, 1)


@pytest.mark.parametrize("values", [[], [5], [3, 1, 3, 3, 2], [-4, 7, -4]])
def test_counts_are_added_by_value(values: list[int]) -> None:
    whole = count(np.array(values, dtype=np.int64))
    parts = add(count(np.array(values[:2], dtype=np.int64)), count(np.array(values[2:], dtype=np.int64)))
    for counted in (whole, parts):
        assert dict(zip(counted.values.tolist(), counted.counts.tolist(), strict=True)) == {
            value: values.count(value) for value in values
        }
        assert counted.values.tolist() == sorted(set(values))
