"""Options that are lists."""

import pytest

from cluster.cli.lists import integers, words
from data_filters.errors import InputError


def test_words_are_cut_at_commas():
    assert words("a, b,,c ") == ["a", "b", "c"]
    assert words(" ") == []


def test_integers_are_whole_numbers():
    assert integers("--seeds", "0, 2,-1") == [0, 2, -1]
    with pytest.raises(InputError, match="--seeds is '0,x'; give whole numbers"):
        integers("--seeds", "0,x")
