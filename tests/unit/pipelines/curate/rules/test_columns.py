"""Columns with null against a loop over their values."""

import math

import numpy as np
import pyarrow as pa

from pipelines.curate.rules.columns import booleans, numbers, of_distinct, texts


def test_null_is_nan_or_false():
    column = pa.chunked_array([pa.array([1, None]), pa.array([3])])
    assert [number if number == number else None for number in numbers(column)] == [1.0, None, 3.0]
    assert math.isnan(numbers(pa.chunked_array([pa.array([math.nan])]))[0])
    assert booleans(pa.chunked_array([[True, None, False]])).tolist() == [True, False, False]
    assert texts(pa.chunked_array([["a", None]])) == ["a", None]


def test_each_distinct_text_is_judged_once():
    asked: list[str] = []

    def judge(text: str) -> bool:
        asked.append(text)
        return text == "a"

    column = pa.chunked_array([["a", "b", None], [], ["a", "c", "b"]], pa.string())
    assert of_distinct(column, judge).tolist() == [True, False, False, True, False, False]
    assert sorted(asked) == ["a", "b", "c"]
    assert of_distinct(pa.chunked_array([], pa.string()), judge).dtype == np.bool_
