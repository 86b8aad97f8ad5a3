"""Verdicts are plain values."""

from dataclasses import FrozenInstanceError

import pytest

from data_filters.verdict import Drop, Keep


def test_verdicts_compare_by_value_and_do_not_change():
    assert Drop("few_words", 2.0, 3.0) == Drop("few_words", 2.0, 3.0)
    assert Drop("few_words", 2.0, 3.0) != Drop("few_words", 1.0, 3.0)
    with pytest.raises(FrozenInstanceError):
        Keep(1.0).value = 2.0
