"""Words by hand."""

import pytest

from data_filters.text import word_count


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("", 0),
        (" \n\t ", 0),
        ("one", 1),
        ("  a red\tumbrella\nhere ", 4),
        ("żółw i kot", 3),
        ("a b", 2),
        ("x-y", 1),
        ("\u200b \x01 \u202e \u00ad \u0301 \u3164 \u2800 \ue000", 0),
        ("\u202ea red \u200bcar", 3),
        ("\U0001f600 ! \u4e2d", 3),
    ],
)
def test_words_are_what_stands_between_white_space(caption, words):
    assert word_count(caption) == words
