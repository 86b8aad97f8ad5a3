"""Words, their hashes and n-grams against definitions written out anew."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from data_filters.ngrams import WordHasher, grams, words

TEXT = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from(" ,.-'!\t\n_éß\u200bＡﬁ\u0378日のि"),
        st.sampled_from("abAB"),
    )
)


def slow_words(caption: str) -> list[str]:
    """The definition, a character at a time."""
    found, word = [], ""
    for letter in unicodedata.normalize("NFKC", caption).casefold() + " ":
        category = unicodedata.category(letter)
        if category[0] in "PSZ" or category in ("Cc", "Cf", "Cs", "Co"):
            found += [word] if word else []
            word = ""
        else:
            word += letter
    return found


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_words_are_those_of_the_definition(caption: str) -> None:
    assert words(caption) == slow_words(caption)


def test_every_ascii_character_is_treated_as_its_category_says() -> None:
    caption = "a".join(chr(code) for code in range(128))
    assert words(caption) == slow_words(caption)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Don't-STOP! a", ["don", "t", "stop", "a"]),
        ("", []),
        (" …, ", []),
        ("Straße ﬁn", ["strasse", "fin"]),
        ("हिन्दी, ok", ["हिन्दी", "ok"]),
    ],
)
def test_words_by_hand(caption: str, expected: list[str]) -> None:
    assert words(caption) == expected


@pytest.mark.parametrize("remembered", [0, 2, 500_000])
def test_hashes_do_not_depend_on_what_is_remembered(remembered: int) -> None:
    hasher = WordHasher(remembered)
    batches = [["a red car", "", "A car!"], [], ["blue", "a red red car"] * 3]
    for captions in batches:
        hashes, lengths = hasher(captions)
        split = [slow_words(caption) for caption in captions]
        assert lengths.tolist() == [len(caption) for caption in split]
        assert hashes.dtype == np.uint64
        assert hashes.tolist() == [
            xxhash.xxh3_64_intdigest(word.encode()) for caption in split for word in caption
        ]


def test_the_memory_for_words_is_bounded() -> None:
    hasher = WordHasher(remembered=100)
    for number in range(50):
        hasher([f"w{number * 30 + word}" for word in range(30)])
        assert len(hasher._table) <= 130


def test_grams_are_all_words_and_neighbours_within_a_caption() -> None:
    captions = ["a b a", "", "b", "a b"]
    hashes, owners = grams(*WordHasher()(captions))
    found = sorted(zip(owners.tolist(), hashes.tolist(), strict=True))
    per_caption = [[hash_ for owner, hash_ in found if owner == index] for index in range(4)]
    assert [len(one) for one in per_caption] == [5, 0, 1, 3]  # a b a, ab ba; none; b; a b, ab
    assert len(set(per_caption[0])) == 4  # a, b, ab, ba: the order of a pair counts
    assert set(per_caption[3]) < set(per_caption[0])
    assert set(per_caption[2]) < set(per_caption[3])


def test_no_captions_have_no_grams() -> None:
    hashes, owners = grams(*WordHasher()([]))
    assert (len(hashes), len(owners)) == (0, 0)
