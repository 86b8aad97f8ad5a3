"""Scores of captions, by hand and against the Unicode database."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters.text import character_count, letter_share, repetition, word_count


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


@pytest.mark.parametrize(
    ("caption", "share"),
    [
        ("", 0),
        (" \n", 0),
        ("abc", 1),
        ("a1", 0.5),
        ("a 1 !", 1 / 3),
        ("żółw 7", 0.8),
        ("日本 99", 0.5),
        ("\u3164é", 1),
    ],
)
def test_letters_by_hand(caption, share):
    assert letter_share(caption) == pytest.approx(share)


@given(st.text(st.sampled_from("ab Z9.!\t\n\x7f\x00é\u0301日\u200b😀")))
def test_letters_against_the_unicode_database(caption):
    kinds = [unicodedata.category(letter) for letter in caption]
    letters = sum(kind[0] in "LM" for kind in kinds)
    seen = letters + sum(kind[0] in "NPS" for kind in kinds)
    assert letter_share(caption) == pytest.approx(letters / seen if seen else 0)


@pytest.mark.parametrize(
    ("caption", "share"),
    [
        ("", 0),
        ("!!! ...", 0),
        ("one two three", 0),
        ("red Red RED red.", 3 / 4),
        ("a dog, a cat", 1 / 4),
        ("«Żółw» żółw – kot", 1 / 3),
        ("don't dont", 1 / 2),
    ],
)
def test_repeated_words_by_hand(caption, share):
    assert repetition(caption) == pytest.approx(share)


@given(st.lists(st.sampled_from(["red", "Red", "car", "é", "É", "sky,"]), max_size=12))
def test_repeated_words_are_those_that_were_there_before(words):
    before: list[str] = []
    repeated = 0
    for word in words:
        plain = word.lower().rstrip(",")
        repeated += plain in before
        before.append(plain)
    assert repetition(" ".join(words)) == pytest.approx(repeated / len(words) if words else 0)


def test_characters_are_code_points():
    assert character_count("żółw 7\n") == 7
